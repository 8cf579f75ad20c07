"""Runs that begin in the past of a thread, beside an open question, or inside a subgraph."""

from typing import Any

import pytest
from langgraph_sdk.client import SyncLangGraphClient

from tests.live import Live

STEPS = ["one", "two", "three", "four"]


@pytest.fixture
def client(live: Live) -> SyncLangGraphClient:
    return live.client()


@pytest.fixture
def thread(client: SyncLangGraphClient) -> str:
    return str(client.threads.create()["thread_id"])


def before(client: SyncLangGraphClient, thread: str, *nodes: str) -> Any:
    """The thread's newest state in which these nodes come next."""
    history = client.threads.get_history(thread, limit=50)
    return next(state for state in history if state["next"] == list(nodes))


def test_answer_and_update_in_one_command(client: SyncLangGraphClient, thread: str) -> None:
    """Both are written, and the question is answered."""
    client.runs.wait(thread, "asking", input={})
    values = client.runs.wait(thread, "asking", command={"resume": "yes", "update": {"log": ["noted"]}})
    assert isinstance(values, dict)
    assert values["log"][0] == "before"
    assert sorted(values["log"][1:]) == ["noted", "yes"]
    assert client.threads.get(thread)["status"] == "idle"


def test_goto_leaves_the_question_open(client: SyncLangGraphClient, thread: str) -> None:
    """Who goes elsewhere on an interrupted thread has not answered: it asks again."""
    client.runs.wait(thread, "asking", input={})
    gone = client.runs.wait(thread, "asking", command={"goto": "before"})
    assert gone["__interrupt__"][0]["value"] == {"question": "ok?"}
    assert client.threads.get(thread)["status"] == "interrupted"


def test_each_branch_asks_for_itself(client: SyncLangGraphClient, thread: str) -> None:
    """A question that is asked again in a fork has an id of its own, and the fork is the thread's head."""
    asked = client.runs.wait(thread, "asking", input={})
    client.runs.wait(thread, "asking", command={"resume": "first"})
    again = client.runs.wait(
        thread, "asking", input=None, checkpoint_id=before(client, thread, "ask")["checkpoint"]["checkpoint_id"]
    )
    assert again["log"] == ["before"]
    assert again["__interrupt__"][0]["id"] != asked["__interrupt__"][0]["id"]
    assert client.runs.wait(thread, "asking", command={"resume": "second"}) == {"log": ["before", "second"]}


def test_unknown_checkpoint_is_an_empty_state(client: SyncLangGraphClient, thread: str) -> None:
    client.runs.wait(thread, "steps", input={})
    unknown = "00000000-0000-6000-8000-000000000000"
    values = client.runs.wait(thread, "steps", input={}, checkpoint_id=unknown)
    assert isinstance(values, dict)
    assert values["done"] == STEPS


def test_question_of_a_subgraph(client: SyncLangGraphClient, thread: str) -> None:
    """It stops the whole run and its answer goes on inside, where the finished node does not run again."""
    asked = client.runs.wait(thread, "asking_inside", input={"log": []})
    assert asked["__interrupt__"][0]["value"] == "inside?"
    assert client.runs.wait(thread, "asking_inside", command={"resume": "yes"}) == {"log": ["inner", "yes", "after"]}


def test_start_at_a_checkpoint_of_a_subgraph(client: SyncLangGraphClient, thread: str) -> None:
    """A checkpoint within a subgraph, named by its namespace and map: the run goes on right there."""
    client.runs.wait(thread, "asking_inside", input={"log": []})
    (task,) = client.threads.get_state(thread, subgraphs=True)["tasks"]
    inside = task["state"]
    assert inside is not None
    assert inside["next"] == ["ask"]
    assert inside["checkpoint"]["checkpoint_ns"].startswith("child:")
    client.runs.wait(thread, "asking_inside", command={"resume": "first"})
    again = client.runs.wait(thread, "asking_inside", input=None, checkpoint=inside["checkpoint"])
    assert again["__interrupt__"][0]["value"] == "inside?"
    other = client.runs.wait(thread, "asking_inside", command={"resume": "second"})
    assert other == {"log": ["inner", "second", "after"]}


def test_one_answer_for_two_questions_is_refused(client: SyncLangGraphClient, thread: str) -> None:
    """Which of them it answers cannot be told: the run fails, and both can still be answered by their ids."""
    asked = client.runs.wait(thread, "two_questions", input={})
    with pytest.raises(Exception, match="interrupt id"):
        client.runs.wait(thread, "two_questions", command={"resume": "both?"})
    answers = {question["id"]: question["value"][0] for question in asked["__interrupt__"]}
    values = client.runs.wait(thread, "two_questions", command={"resume": answers})
    assert values == {"log": ["left:l", "right:r", "done"]}


def test_answer_to_a_question_that_nobody_asked(client: SyncLangGraphClient, thread: str) -> None:
    """It answers none; the questions stay open."""
    client.runs.wait(thread, "two_questions", input={})
    left = client.runs.wait(thread, "two_questions", command={"resume": {"0" * 32: "?"}})
    assert len(left["__interrupt__"]) == 2
    assert client.threads.get(thread)["status"] == "interrupted"


def test_empty_answers(client: SyncLangGraphClient, thread: str) -> None:
    """Values that count as false are answers like others."""
    for answer in (False, 0, "", []):
        client.runs.wait(thread, "asking", input={"log": []})
        values = client.runs.wait(thread, "asking", command={"resume": answer})
        assert isinstance(values, dict)
        assert values["log"][-1] == answer
        assert type(values["log"][-1]) is type(answer)


def test_unknown_node(client: SyncLangGraphClient, thread: str) -> None:
    """goto somewhere that does not exist changes nothing."""
    client.runs.wait(thread, "steps", input={})
    client.runs.wait(thread, "steps", command={"goto": "nowhere"})
    assert client.threads.get_state(thread)["values"]["done"] == STEPS
