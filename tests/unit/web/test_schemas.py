"""JSON schemas in lines, and versions in differences."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deerflow.domain.assistants import AssistantVersion
from deerflow.web.differences import changes
from deerflow.web.schemas import Field, fields, kind


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any"),
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer | null"),
        ({"type": "array", "items": {"type": "string"}}, "string[]"),
        ({"type": "array", "items": {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}}, "(A | B)[]"),
        ({"type": "array"}, "any[]"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": None}, "null"),
        ({"anyOf": [{"$ref": f"#/$defs/{name}"} for name in "ABCDEF"]}, "A | B | C | …"),
        ("odd", "any"),
    ],
)
def test_kinds(schema: Any, words: str) -> None:
    assert kind(schema) == words


def test_fields_of_an_object() -> None:
    schema = {
        "properties": {
            "size": {"type": "integer", "default": 3},
            "name": {"type": "string", "description": "Its name"},
        },
        "required": ["name"],
    }
    assert fields(schema) == [
        Field("name", "string", is_required=True, about="Its name", default=""),
        Field("size", "integer", is_required=False, about="", default="3"),
    ]
    for odd in (None, {}, {"properties": []}, {"properties": {"a": 1}, "required": 7}):
        assert len(fields(odd)) == (1 if odd and odd.get("properties") else 0)


def version(**said: Any) -> AssistantVersion:
    usual: dict[str, Any] = {
        "assistant_id": UUID(int=1), "version": 1, "owner": "ada", "graph_id": "chat", "name": "A", "description": None,
        "config": {}, "context": {}, "metadata": {}, "created_at": datetime.now(UTC),
    }  # fmt: skip
    return AssistantVersion(**{**usual, **said})


def test_what_changed_from_version_to_version() -> None:
    before = version(description="one\ntwo", config={"tags": ["a"], "run_name": "x"})
    after = version(name="B", description="one\n2", config={"tags": ["b"], "run_name": "x"})
    told = {each.field: each.lines for each in changes(before, after)}
    assert set(told) == {"name", "description", "config"}
    assert told["name"] == [("-", "A"), ("+", "B")]
    assert told["description"] == [(" ", "one"), ("-", "two"), ("+", "2")]
    assert ("-", '    "a"') in told["config"]
    assert (" ", '  "run_name": "x",') in told["config"]


def test_the_first_version_is_all_new() -> None:
    assert [each.field for each in changes(None, version(context={"a": 1}))] == ["name", "graph_id", "context"]
    assert changes(version(), version()) == []


def test_of_long_values_the_lines_near_a_change_are_told() -> None:
    rows = [{"row": number} for number in range(100_000)]
    before, after = (
        version(config={"rows": rows}),
        version(config={"rows": [*rows[:50_000], {"row": "new"}, *rows[50_001:]]}),
    )
    (config,) = changes(before, after)
    assert ("-", '      "row": 50000') in config.lines
    assert ("+", '      "row": "new"') in config.lines
    assert len(config.lines) == 10
    assert config.lines[0] == config.lines[-1] == (" ", "…")


def test_values_that_are_wholly_others_are_told_by_their_beginning() -> None:
    """Though line by line there is very much to compare."""
    before, after = (version(config={"rows": [{"row": each}] * 100_000}) for each in "ab")
    (config,) = changes(before, after)
    assert len(config.lines) < 1_000
    assert {mark for mark, _ in config.lines} >= {"-", " "}
