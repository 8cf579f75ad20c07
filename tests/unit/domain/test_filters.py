"""Filters of authorization handlers: what can be carried out, and what cannot lets nobody in."""

from typing import Any

import pytest

from deerflow.domain.filters import contained
from deerflow.errors import HandlerFailed


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, {}),
        ({"owner": "ada"}, {"owner": "ada"}),
        ({"owner": {"$eq": "ada"}, "public": False}, {"owner": "ada", "public": False}),
        ({"members": {"$contains": "ada"}}, {"members": ["ada"]}),
        ({"members": {"$contains": ["ada", "bob"]}}, {"members": ["ada", "bob"]}),
    ],
)
def test_a_filter_is_what_the_metadata_must_contain(told: dict[str, Any], expected: dict[str, Any]) -> None:
    assert contained(told) == expected


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"owner": None}, "'owner' must be compared with"),
        ({"owner": ["ada"]}, "'owner' must be compared with"),
        ({"owner": {"$eq": None}}, "'owner' must be compared with"),
        ({"owner": {"$contains": [{"a": 1}]}}, "'owner' must be compared with"),
        ({"owner": {"$ne": "ada"}}, r"needs one of \$eq and \$contains, not \['\$ne'\]"),
        ({"owner": {"$eq": "a", "$contains": "b"}}, "needs one of"),
        ({"owner": {}}, "needs one of"),
        ({"$or": [{"owner": "ada"}]}, "names keys of metadata"),
        ({1: "ada"}, "names keys of metadata"),
    ],
)
def test_what_cannot_be_carried_out_is_an_error(told: Any, named: str) -> None:
    with pytest.raises(HandlerFailed, match=named):
        contained(told)
