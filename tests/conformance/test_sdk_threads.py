"""The Python SDK's threads and assistants, unmodified."""

from uuid import uuid4

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from deerflow.domain.assistants import system_assistant_id
from tests.conformance.conftest import Sdk


def test_life_of_a_thread(sdk: Sdk) -> None:
    """A thread is created, read and deleted."""
    created = sdk.threads.create(metadata={"m": 1}, graph_id="steps")
    assert created["status"] == "idle"
    assert created["metadata"] == {"m": 1, "graph_id": "steps"}
    assert sdk.threads.get(created["thread_id"]) == created
    sdk.threads.delete(created["thread_id"])
    with pytest.raises(NotFoundError):
        sdk.threads.get(created["thread_id"])


def test_chosen_id(sdk: Sdk) -> None:
    """A client's own id can be created once, or as often as it likes with ``do_nothing``."""
    chosen = str(uuid4())
    created = sdk.threads.create(thread_id=chosen)
    assert sdk.threads.create(thread_id=chosen, if_exists="do_nothing") == created
    with pytest.raises(ConflictError, match="already exists"):
        sdk.threads.create(thread_id=chosen)


def test_errors_are_sentences(sdk: Sdk) -> None:
    """The SDK finds our sentence in an error's body."""
    with pytest.raises(UnprocessableEntityError, match="Invalid thread ID: must be a UUID"):
        sdk.threads.get("nope")


def test_assistants(sdk: Sdk) -> None:
    """Every graph's assistant is found and can be read by its id."""
    (found,) = sdk.assistants.search(graph_id="chat")
    assert found["assistant_id"] == str(system_assistant_id("chat"))
    assert sdk.assistants.get(found["assistant_id"]) == found


def test_empty_state(sdk: Sdk) -> None:
    """A thread that no graph has touched has an empty state."""
    state = sdk.threads.get_state(sdk.threads.create()["thread_id"])
    assert (state["values"], state["next"], state["checkpoint"]) == ({}, [], None)


def test_state_of_an_unused_graph(sdk: Sdk) -> None:
    """So has one whose graph has never run."""
    state = sdk.threads.get_state(sdk.threads.create(graph_id="steps")["thread_id"])
    assert (state["values"], state["next"], state["checkpoint"]) == ({}, [], None)


def test_state_after_a_run(sdk: Sdk) -> None:
    """The state is what the run left, with the checkpoint's name and its parent's."""
    thread_id = sdk.threads.create()["thread_id"]
    sdk.runs.wait(thread_id, "steps", input={})
    state = sdk.threads.get_state(thread_id)
    assert state["values"]["done"] == ["one", "two", "three", "four"]
    assert (state["next"], state["tasks"], state["interrupts"]) == ([], [], [])
    assert state["checkpoint"]["thread_id"] == thread_id
    assert state["checkpoint"]["checkpoint_ns"] == ""
    assert state["checkpoint"]["checkpoint_id"] > state["parent_checkpoint"]["checkpoint_id"]
    assert state["checkpoint_id"] == state["checkpoint"]["checkpoint_id"]
    assert state["metadata"]["graph_id"] == "steps"
    assert state["metadata"]["run_id"] == sdk.runs.list(thread_id)[0]["run_id"]
    assert sdk.threads.get(thread_id)["values"] == state["values"]


def test_state_of_an_interrupted_thread(sdk: Sdk) -> None:
    """The open question is told by thread (a map by task) and by state (a list), under the same id."""
    thread_id = sdk.threads.create()["thread_id"]
    sdk.runs.wait(thread_id, "asking", input={"log": []})
    thread, state = sdk.threads.get(thread_id), sdk.threads.get_state(thread_id)
    (task,) = state["tasks"]
    (interrupt,) = state["interrupts"]
    assert interrupt["value"] == {"question": "ok?"}
    assert (task["name"], task["interrupts"], state["next"]) == ("ask", [interrupt], ["ask"])
    assert thread["status"] == "interrupted"
    assert thread["interrupts"] == {task["id"]: [interrupt]}
    assert state["values"] == thread["values"] == {"log": ["before"]}


def test_state_of_a_failed_run(sdk: Sdk) -> None:
    """What was reached before the failure is kept; the task says what failed."""
    thread_id = sdk.threads.create()["thread_id"]
    sdk.runs.wait(thread_id, "faulty", input={"kind": "told"}, raise_error=False)
    state = sdk.threads.get_state(thread_id)
    assert state["values"] == {"kind": "told", "before": "kept"}
    assert state["next"] == ["fail"]
    assert [task["error"] for task in state["tasks"]] == ["ValueError('boom happened')"]


def test_state_with_subgraphs(sdk: Sdk) -> None:
    """A state can be asked for with its subgraphs, also when none is unfinished."""
    thread_id = sdk.threads.create()["thread_id"]
    sdk.runs.wait(thread_id, "nested", input={"log": []})
    assert sdk.threads.get_state(thread_id, subgraphs=True)["values"] == {"log": ["inner"]}
