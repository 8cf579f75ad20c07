"""How a run starts: input, command, breakpoints, an older checkpoint."""

from typing import Any

import pytest
from langgraph_sdk.client import SyncLangGraphClient

from tests.live import Live


@pytest.fixture
def client(live: Live) -> SyncLangGraphClient:
    return live.client()


@pytest.fixture
def thread(client: SyncLangGraphClient) -> str:
    return str(client.threads.create()["thread_id"])


def test_interrupt_is_resumed(client: SyncLangGraphClient, thread: str) -> None:
    """A question stops the run, its answer goes on from there, and the finished node does not run again."""
    asked = client.runs.wait(thread, "asking", input={})
    assert asked["__interrupt__"][0]["value"] == {"question": "ok?"}
    assert client.threads.get(thread)["status"] == "interrupted"
    assert client.runs.list(thread)[0]["status"] == "success"
    answered = client.runs.wait(thread, "asking", command={"resume": "yes"})
    assert answered == {"log": ["before", "yes"]}
    assert client.threads.get(thread)["status"] == "idle"
    assert client.threads.get(thread)["interrupts"] == {}


def test_answers_by_interrupt_id_may_come_one_by_one(client: SyncLangGraphClient, thread: str) -> None:
    """Two open questions: one answer leaves the other open."""
    asked = client.runs.wait(thread, "two_questions", input={})
    ids = {i["value"]: i["id"] for i in asked["__interrupt__"]}
    half = client.runs.wait(thread, "two_questions", command={"resume": {ids["left?"]: "L"}})
    assert [i["value"] for i in half["__interrupt__"]] == ["right?"]
    whole = client.runs.wait(thread, "two_questions", command={"resume": {ids["right?"]: "R"}})
    assert whole["log"] == ["left:L", "right:R", "done"]


def test_both_answers_at_once(client: SyncLangGraphClient, thread: str) -> None:
    """A map of all open questions."""
    asked = client.runs.wait(thread, "two_questions", input={})
    answers = {i["id"]: i["value"][0] for i in asked["__interrupt__"]}
    assert client.runs.wait(thread, "two_questions", command={"resume": answers})["log"][-1] == "done"


def test_command_updates_and_goes(client: SyncLangGraphClient, thread: str) -> None:
    """goto starts at a node, as a name or with an input of its own; update writes; the command wins over the input."""
    values = client.runs.wait(
        thread, "two_questions", input={"log": ["ignored"]}, command={"update": {"note": "n"}, "goto": "done"}
    )
    assert values["note"] == "n"
    assert values["log"] == ["done"]
    sent = client.runs.wait(thread, "two_questions", command={"goto": [{"node": "done", "input": {}}]})
    assert sent["log"] == ["done", "done"]


def test_null_goes_on_and_an_empty_input_starts_over(client: SyncLangGraphClient, thread: str) -> None:
    """null, {} and values are three different things."""
    client.runs.wait(thread, "steps", input={}, interrupt_before=["three"])
    assert client.threads.get_state(thread)["next"] == ["three"]
    assert client.runs.wait(thread, "steps", input=None)["done"] == ["one", "two", "three", "four"]
    assert client.runs.wait(thread, "steps", input={})["done"] == ["one", "two", "three", "four"] * 2


def test_empty_thread_without_input_fails_clearly(client: SyncLangGraphClient, thread: str) -> None:
    """There is nothing to go on from."""
    with pytest.raises(Exception, match="Received no input"):
        client.runs.wait(thread, "steps", input=None)


@pytest.mark.parametrize(
    ("where", "stops"),
    [
        ({"interrupt_before": ["two"]}, [["two"], []]),
        ({"interrupt_after": ["two"]}, [["three"], []]),
        ({"interrupt_before": "*"}, [["one"], ["two"], ["three"], ["four"], []]),
        ({"interrupt_after": "*"}, [["two"], ["three"], ["four"], []]),
    ],
)
def test_breakpoints_stop_and_go_on(
    client: SyncLangGraphClient, thread: str, where: dict[str, Any], stops: list[list[str]]
) -> None:
    """The run succeeds at each stop, the thread waits there; null goes on to the next."""
    for number, expected in enumerate(stops):
        client.runs.wait(thread, "steps", input=None if number else {}, **where)
        assert client.threads.get_state(thread)["next"] == expected
        assert client.runs.list(thread)[0]["status"] == "success"
        assert client.threads.get(thread)["status"] == ("interrupted" if expected else "idle")
    assert client.threads.get_state(thread)["values"]["done"] == ["one", "two", "three", "four"]


def test_older_checkpoint_is_run_again(client: SyncLangGraphClient, thread: str) -> None:
    """Time travel: null executes again from there, an input starts a branch; the old branch stays reachable."""
    client.runs.wait(thread, "steps", input={})
    history = client.threads.get_history(thread, limit=20)
    before_three = next(state for state in history if state["next"] == ["three"])
    again = client.runs.wait(thread, "steps", input=None, checkpoint=before_three["checkpoint"])
    assert again["done"] == ["one", "two", "three", "four"]
    same = client.runs.wait(thread, "steps", input=None, checkpoint_id=before_three["checkpoint"]["checkpoint_id"])
    assert same["done"] == ["one", "two", "three", "four"]
    branch = client.runs.wait(thread, "steps", input={}, checkpoint=before_three["checkpoint"])
    assert branch["done"] == ["one", "two", "one", "two", "three", "four"]
    old = client.threads.get_state(thread, checkpoint=history[0]["checkpoint"])
    assert old["values"]["done"] == ["one", "two", "three", "four"]


@pytest.mark.parametrize(("durability", "kept"), [("exit", 1), ("async", 6), ("sync", 6)])
def test_durability_decides_what_is_kept(client: SyncLangGraphClient, thread: str, durability: Any, kept: int) -> None:
    """``exit`` stores one checkpoint at the end, the others one a step."""
    client.runs.wait(thread, "steps", input={}, durability=durability)
    assert len(client.threads.get_history(thread, limit=20)) == kept


def test_old_name_of_durability(client: SyncLangGraphClient, thread: str, live: Live) -> None:
    """checkpoint_during: false is ``exit``."""
    body = {"assistant_id": "steps", "input": {}, "checkpoint_during": False}
    live.http().post(f"/threads/{thread}/runs/wait", json=body)
    assert len(client.threads.get_history(thread, limit=20)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("checkpoint_id", "not-a-uuid"),
        ("command", {"goto": {"input": 1}}),
        ("command", "resume"),
        ("interrupt_before", "node"),
        ("durability", "never"),
        ("config", {"configurable": {"checkpoint_id": "x"}}),
    ],
)
def test_bad_starts_are_refused(live: Live, thread: str, field: str, value: Any) -> None:
    """422, and no run."""
    answer = live.http().post(f"/threads/{thread}/runs", json={"assistant_id": "steps", field: value})
    assert answer.status_code == 422
    assert live.client().runs.list(thread) == []
