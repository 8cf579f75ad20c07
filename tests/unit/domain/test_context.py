"""A run's context: how it is told, and whether it fits its graph."""

import pytest

from deerflow.domain.context import check, mirrored
from deerflow.errors import Invalid

SCHEMA = {
    "type": "object",
    "properties": {"model": {"enum": ["swift", "solid"]}, "depth": {"type": "integer", "maximum": 8}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("configurable", "context", "expected"),
    [
        ({}, {}, ({}, {})),
        ({"a": 1}, {}, ({"a": 1}, {"a": 1})),
        ({}, {"a": 1}, ({"a": 1}, {"a": 1})),
        ({"a": 1}, {"b": 2}, ({"a": 1}, {"b": 2})),
    ],
)
def test_each_serves_for_the_other(configurable: dict, context: dict, expected: tuple) -> None:
    assert mirrored(configurable, context) == expected


@pytest.mark.parametrize("context", [{}, {"model": "swift"}, {"depth": 8}, {"model": "solid", "unknown": object}])
def test_what_fits_passes(context: dict) -> None:
    """Keys that the graph does not know are nobody's mistake: clients send one context to all graphs."""
    check(SCHEMA, context)


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({"model": "slow"}, "context.model: 'slow' is not one of"),
        ({"depth": 9}, "context.depth: 9 is greater than the maximum of 8"),
        ({"depth": "deep"}, "context.depth: 'deep' is not of type 'integer'"),
    ],
)
def test_what_does_not_fit_is_named(context: dict, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        check(SCHEMA, context)


def test_graph_without_schema_takes_everything() -> None:
    check(None, {"model": "any"})
