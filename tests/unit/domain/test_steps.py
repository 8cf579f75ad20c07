"""What a log tells of nodes, and what it does not."""

from typing import Any

import orjson
import pytest

from deerflow.domain.events import Entry
from deerflow.domain.steps import Step, steps_of


def log(*said: tuple[int, str, Any]) -> list[Entry]:
    return [
        Entry(place, at, b"event: " + name.encode() + b"\r\ndata: " + orjson.dumps(data) + b"\r\n")
        for place, (at, name, data) in enumerate(said, 1)
    ]


def begins(name: str, key: str = "1") -> dict[str, Any]:
    return {"id": key, "name": name, "input": {}, "triggers": []}


def ends(name: str, key: str = "1", **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "error": None, "result": {}, "interrupts": [], **more}


def test_tasks_tell_beginning_and_end() -> None:
    told = log((5, "tasks", begins("a")), (9, "tasks", ends("a")), (9, "tasks", begins("b", "2")))
    assert steps_of(told) == [Step("a", 5, 9), Step("b", 9)]


def test_nodes_side_by_side_are_told_apart() -> None:
    told = log((1, "tasks", begins("a", "1")), (1, "tasks", begins("a", "2")), (3, "tasks", ends("a", "2")))
    assert steps_of(told) == [Step("a", 1), Step("a", 1, 3)]


def test_a_task_tells_how_it_ended() -> None:
    told = log(
        (1, "tasks", begins("a")), (2, "tasks", ends("a", error="ValueError")),
        (3, "tasks", begins("b", "2")), (4, "tasks", ends("b", "2", interrupts=[{"id": "x"}])),
    )  # fmt: skip
    assert [(step.failed, step.asks) for step in steps_of(told)] == [(True, False), (False, True)]


@pytest.mark.parametrize(
    "said",
    [
        [(1, "debug", {"type": "task", "payload": begins("a")}), (4, "debug", {"type": "checkpoint", "payload": {}}),
         (4, "debug", {"type": "task_result", "payload": ends("a")})],
        [(1, "v2:tasks", {"namespace": [], "data": begins("a")}),
         (4, "v2:tasks", {"namespace": [], "data": ends("a")})],
        [(0, "updates", {"other": 1}), (1, "tasks", begins("a")), (4, "tasks", ends("a"))],
    ],
)  # fmt: skip
def test_other_streams_tell_the_same(said: list[tuple[int, str, Any]]) -> None:
    assert steps_of(log(*said)) == [Step("a", 1, 4)]


def test_subgraphs_stand_before_the_name() -> None:
    assert steps_of(log((1, "tasks|outer:8f|inner:9c", begins("a"))))[0].name == "outer / inner / a"


def test_updates_tell_the_end_and_values_when_their_step_began() -> None:
    told = log(
        (1, "metadata", {}), (2, "values", {}), (5, "updates", {"a": {}}), (9, "updates", {"b": {}}), (9, "values", {}),
        (12, "updates", {"c": {}}), (12, "updates", {"__interrupt__": []}),
    )  # fmt: skip
    assert steps_of(told) == [Step("a", 2, 5), Step("b", 2, 9), Step("c", 9, 12)]


def test_updates_alone_do_not_tell_how_long_it_took() -> None:
    """Nodes may have worked side by side."""
    assert steps_of(log((1, "metadata", {}), (5, "updates", {"a": {}}))) == [Step("a", None, 5)]


def test_v2_updates_name_their_node() -> None:
    told = log(
        (2, "v2:values", {"namespace": [], "data": {}}), (5, "v2:updates", {"namespace": [], "data": {}, "node": "a"})
    )
    assert steps_of(told) == [Step("a", 2, 5)]


@pytest.mark.parametrize("data", [None, [], "text", {"name": 3}, {"id": "1", "result": 1}, {"truncated": True}])
def test_what_names_no_node_is_passed_over(data: Any) -> None:
    assert steps_of(log((1, "tasks", data), (2, "tasks", begins("a")))) == [Step("a", 2)]
