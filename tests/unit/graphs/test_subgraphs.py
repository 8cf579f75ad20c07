"""Which subgraphs are at work, from the tasks that LangGraph reports."""

from typing import Any

import pytest

from deerflow.graphs.subgraphs import Subgraphs

TOOLS = ("tools:t1",)


def start(task_id: str, given: Any = None, **metadata: Any) -> dict[str, Any]:
    """A task begins."""
    return {"id": task_id, "name": "node", "input": given, "triggers": [], "metadata": metadata}


def end(task_id: str, **more: Any) -> dict[str, Any]:
    """A task ends."""
    return {"id": task_id, "name": "node", "error": None, "result": {}, "interrupts": [], **more}


CALL = {"id": "c1", "name": "ask", "args": {}}


@pytest.mark.parametrize("given", [{"tool_call": CALL, "state": {}}, CALL, [CALL]], ids=["ours", "itself", "sent"])
def test_an_agent_that_a_tool_call_has_started_says_so(given: Any) -> None:
    """Its name is its own; the call is the one that its task carries out."""
    subgraphs = Subgraphs()
    assert list(subgraphs.see((), start("t1", given, lc_agent_name="lead"))) == []
    told = list(subgraphs.see(TOOLS, start("t2", lc_agent_name="helper")))
    data = {
        "event": "started",
        "namespace": ["tools:t1"],
        "graph_name": "helper",
        "trigger_call_id": "t1",
        "cause": {"type": "toolCall", "tool_call_id": "c1"},
    }
    assert told == [(TOOLS, "lifecycle", data)]
    assert list(subgraphs.see(TOOLS, start("t3", lc_agent_name="helper"))) == [], "it has begun already"
    assert list(subgraphs.see(TOOLS, end("t2"))) == [], "one of its tasks is not all of it"
    ended = {"event": "completed", "namespace": ["tools:t1"], "graph_name": "helper"}
    assert list(subgraphs.see((), end("t1"))) == [(TOOLS, "lifecycle", ended)]


def test_a_subgraph_ends_as_its_task_does() -> None:
    """Interrupted, or failed with as much as may be told."""
    for result, told in (
        ({"interrupts": [{"id": "i"}]}, {"event": "interrupted"}),
        ({"error": ValueError("boom")}, {"event": "failed", "error": "boom"}),
        ({"error": OSError("/secret")}, {"event": "failed", "error": "An internal error occurred"}),
    ):
        subgraphs = Subgraphs()
        list(subgraphs.see(("child:t1",), start("t2")))
        ((_, _, data),) = subgraphs.see((), end("t1", **result))
        assert data == {**told, "namespace": ["child:t1"], "graph_name": "child"}


def test_those_that_are_left_end_with_the_run_from_the_inside_out() -> None:
    """Whatever has become of their tasks."""
    for error, how in ((None, "completed"), (ValueError("boom"), "failed")):
        subgraphs = Subgraphs()
        list(subgraphs.see(("a:1",), start("2")))
        list(subgraphs.see(("a:1", "b:2"), start("3")))
        assert [(ns, data["event"]) for ns, _, data in subgraphs.close(error)] == [
            (("a:1", "b:2"), how), (("a:1",), how)
        ]  # fmt: skip
        assert list(subgraphs.close(error)) == []
