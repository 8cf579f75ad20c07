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


def test_pages_of_threads(sdk: Sdk) -> None:
    """Found by metadata, values, ids and status, counted, sorted, and told in part."""
    word = str(uuid4())
    ids = [sdk.threads.create(metadata={"word": word, "n": n}, graph_id="steps")["thread_id"] for n in range(3)]
    sdk.runs.wait(ids[0], "steps", input={"pause": 0.0})
    assert sdk.threads.count(metadata={"word": word}) == 3
    assert sdk.threads.count(metadata={"word": word}, values={"pause": 0.0}, status="idle") == 1
    page = sdk.threads.search(metadata={"word": word}, sort_by="created_at", sort_order="asc", limit=2)
    assert [each["thread_id"] for each in page] == ids[:2]
    rest = sdk.threads.search(metadata={"word": word}, sort_by="created_at", sort_order="asc", offset=2)
    assert [each["thread_id"] for each in rest] == ids[2:]
    (found,) = sdk.threads.search(
        ids=ids, values={"pause": 0.0}, status="idle", select=["thread_id"], extract={"last": "values.done[-1]"}
    )
    assert found == {"thread_id": ids[0], "extracted": {"last": "four"}}
    assert sdk.threads.search(metadata={"word": word}, status="busy") == []


def test_a_thread_is_changed(sdk: Sdk) -> None:
    """Metadata are merged; how long it is kept is set and told."""
    thread_id = sdk.threads.create(metadata={"a": 1})["thread_id"]
    changed = sdk.threads.update(thread_id, metadata={"b": 2}, ttl=5)
    assert changed["metadata"] == {"a": 1, "b": 2}
    assert sdk.threads.update(thread_id, metadata={"a": 3}, return_minimal=True) is None
    told = sdk.threads.get(thread_id, include=["ttl"])
    assert (told["metadata"], told["ttl"]["ttl_minutes"]) == ({"a": 3, "b": 2}, 5.0)


def test_copied_and_pruned(sdk: Sdk) -> None:
    thread_id = sdk.threads.create()["thread_id"]
    sdk.runs.wait(thread_id, "steps", input={})
    copy = sdk.threads.copy(thread_id)
    assert copy["values"] == sdk.threads.get(thread_id)["values"]
    assert sdk.threads.prune([thread_id], strategy="keep_latest") == {"pruned_count": 1}
    assert len(sdk.threads.get_history(thread_id)) == 1
    assert len(sdk.threads.get_history(copy["thread_id"])) > 1
    assert sdk.threads.prune([thread_id, copy["thread_id"]]) == {"pruned_count": 2}
    assert sdk.threads.search(ids=[thread_id, copy["thread_id"]]) == []


def test_states_of_the_past(sdk: Sdk) -> None:
    """Pages of history, one checkpoint of it in each of its spellings, and an edit that begins there."""
    thread_id = sdk.threads.create()["thread_id"]
    sdk.runs.wait(thread_id, "steps", input={})
    states = sdk.threads.get_history(thread_id, limit=10)
    assert [state["next"] for state in states] == [[], ["four"], ["three"], ["two"], ["one"], ["__start__"]]
    two = states[3]["checkpoint"]
    assert sdk.threads.get_history(thread_id, limit=2, before=two) == states[4:6]
    assert sdk.threads.get_history(thread_id, metadata={"step": states[3]["metadata"]["step"]}) == [states[3]]
    by_object = sdk.threads.get_state(thread_id, checkpoint=two)
    assert by_object == sdk.threads.get_state(thread_id, checkpoint_id=two["checkpoint_id"])
    assert by_object["values"]["done"] == ["one"]
    written = sdk.threads.update_state(thread_id, {"done": ["mine"]}, as_node="two", checkpoint=two)
    state = sdk.threads.get_state(thread_id)
    assert state["checkpoint"]["checkpoint_id"] == written["checkpoint"]["checkpoint_id"]
    assert (state["values"]["done"], state["next"]) == (["one", "mine"], ["three"])
    assert sdk.runs.wait(thread_id, "steps", input=None)["done"] == ["one", "mine", "three", "four"]


def test_following_a_thread(sdk: Sdk) -> None:
    """All its runs, one after the other, from any place on; such a stream has no end."""
    thread_id = sdk.threads.create()["thread_id"]
    runs = [sdk.runs.create(thread_id, "steps", input={})["run_id"] for _ in range(2)]
    told = sdk.taking(12).threads.join_stream(thread_id, last_event_id="-")
    begun = [part.data["run_id"] for part in told if part.event == "metadata" and "attempt" in part.data]
    done = [part.data["run_id"] for part in told if part.event == "metadata" and "status" in part.data]
    assert begun == done == runs
    assert sdk.taking(11).threads.join_stream(thread_id, last_event_id=told[0].id) == told[1:]
