"""The Python SDK's runs, unmodified: all on ``/``, streams and wait on ``/api`` too."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.conformance.conftest import Sdk
from tests.conftest import wait_for
from tests.traces import hold

STEPS = ["one", "two", "three", "four"]
QUICK = {"pause": 0.0}
CHAT = {"messages": [{"role": "user", "content": "hi", "id": "h1"}]}
PATIENT = {"kind": "patient", "seconds": 60}


@pytest.fixture
def thread_id(sdk: Sdk) -> str:
    return str(sdk.threads.create()["thread_id"])


def until(sdk: Sdk, run: dict[str, Any], wanted: str) -> None:
    wait_for(lambda: sdk.runs.get(run["thread_id"], run["run_id"])["status"] == wanted, what=wanted)


def test_background_run(sdk: Sdk, thread_id: str) -> None:
    """A run is created, joined, read and listed."""
    created: list[Any] = []
    run = sdk.runs.create(thread_id, "steps", input=QUICK, metadata={"m": 1}, on_run_created=created.append)
    assert run["status"] == "pending"
    assert created == [{"run_id": run["run_id"], "thread_id": thread_id}]
    assert sdk.runs.join(thread_id, run["run_id"])["done"] == STEPS
    ended = sdk.runs.get(thread_id, run["run_id"])
    assert (ended["status"], ended["metadata"]["m"]) == ("success", 1)
    assert sdk.runs.list(thread_id) == [ended]
    assert sdk.runs.list(thread_id, status="pending", select=["run_id"]) == []
    assert sdk.runs.list(thread_id, select=["run_id", "status"]) == [{"run_id": run["run_id"], "status": "success"}]


def test_stream(any_sdk: Sdk) -> None:
    """A stream begins with the run's own id, which the SDK also learns from the header, and tells every value."""
    thread_id, created = any_sdk.threads.create()["thread_id"], []
    parts = any_sdk.runs.stream(thread_id, "steps", input=QUICK, on_run_created=created.append)
    run_id = created[0]["run_id"]
    assert created == [{"run_id": run_id, "thread_id": thread_id}]
    assert (parts[0].event, parts[0].data) == ("metadata", {"run_id": run_id, "attempt": 1})
    assert [part.event for part in parts[1:]] == ["values"] * 5
    assert [part.data["done"] for part in parts[1:]] == [STEPS[:n] for n in range(5)]
    assert [part.id for part in parts] == [str(n) for n in range(1, 7)]
    assert any_sdk.runs.get(thread_id, run_id)["status"] == "success"


def test_wait(any_sdk: Sdk) -> None:
    """Wait answers the last values."""
    thread_id = any_sdk.threads.create()["thread_id"]
    assert any_sdk.runs.wait(thread_id, "steps", input=QUICK)["done"] == STEPS


def test_thread_goes_on(any_sdk: Sdk) -> None:
    """The next run of a thread begins with what the last one left."""
    thread_id = any_sdk.threads.create()["thread_id"]
    any_sdk.runs.wait(thread_id, "steps", input=QUICK)
    assert any_sdk.runs.wait(thread_id, "steps", input=QUICK)["done"] == STEPS * 2


def test_configuration(any_sdk: Sdk) -> None:
    """What a client configures reaches the graph."""
    thread_id = any_sdk.threads.create()["thread_id"]
    answer = any_sdk.runs.wait(thread_id, "chat", input=CHAT, config={"configurable": {"words": 2}})
    assert [message["content"] for message in answer["messages"]] == ["hi", "w0 w1 "]


def test_failed_wait(any_sdk: Sdk) -> None:
    """The SDK raises what the run failed with."""
    thread_id = any_sdk.threads.create()["thread_id"]
    with pytest.raises(Exception, match="ValueError: boom happened"):
        any_sdk.runs.wait(thread_id, "faulty", input={"kind": "told"})
    told = any_sdk.runs.wait(thread_id, "faulty", input={"kind": "told"}, raise_error=False)
    assert told["__error__"] == {"error": "ValueError", "message": "boom happened"}


def test_join_of_a_failed_run(sdk: Sdk, thread_id: str) -> None:
    """A join that comes late tells the failure as well."""
    run = sdk.runs.create(thread_id, "faulty", input={"kind": "told"})
    until(sdk, run, "error")
    told = sdk.runs.join(thread_id, run["run_id"])
    assert told == {"__error__": {"error": "ValueError", "message": "boom happened"}}


def test_join_stream(any_sdk: Sdk) -> None:
    """A run can be followed from its beginning, from any event, or from its end."""
    thread_id = any_sdk.threads.create()["thread_id"]
    run_id = any_sdk.runs.create(thread_id, "steps", input=QUICK)["run_id"]
    everything = any_sdk.runs.join_stream(thread_id, run_id, last_event_id="-1")
    assert [part.event for part in everything] == ["metadata", *["values"] * 5]
    assert any_sdk.runs.join_stream(thread_id, run_id, last_event_id=everything[2].id) == everything[3:]
    assert any_sdk.runs.join_stream(thread_id, run_id) == []


def test_join_stream_of_chosen_modes(any_sdk: Sdk) -> None:
    """A joiner may ask for less than was streamed, in the SDK's own spelling."""
    thread_id = any_sdk.threads.create()["thread_id"]
    run = any_sdk.runs.create(thread_id, "steps", input=QUICK, stream_mode=["values", "updates", "custom"])
    for asked, expected in (("custom", {"custom"}), (["custom", "updates"], {"custom", "updates"})):
        parts = any_sdk.runs.join_stream(thread_id, run["run_id"], stream_mode=asked, last_event_id="-1")
        assert {part.event for part in parts} == {"metadata"} | expected


@pytest.mark.parametrize("wait", [True, False])
def test_cancel_of_running(sdk: Sdk, thread_id: str, wait: bool) -> None:  # noqa: FBT001
    """A running run is stopped; asked to wait, the answer comes when it has. A second cancel is answered alike."""
    run = sdk.runs.create(thread_id, "stubborn", input=PATIENT)
    until(sdk, run, "running")
    for _ in range(2):
        assert sdk.runs.cancel(thread_id, run["run_id"], wait=wait) == ({} if wait else None)
        assert not wait or sdk.runs.get(thread_id, run["run_id"])["status"] == "interrupted"
    until(sdk, run, "interrupted")
    assert sdk.threads.get(thread_id)["error"]["error"] == "UserInterrupt"


def test_cancel_keeps_the_state(sdk: Sdk, thread_id: str, trace: Path) -> None:
    """What was reached before a cancel is kept, and the thread is free at once."""
    hold(trace, "two")
    run = sdk.runs.create(thread_id, "steps", input={"trace": str(trace)})
    wait_for(lambda: sdk.threads.get_state(thread_id)["next"] == ["two"], what="a step")
    sdk.runs.cancel(thread_id, run["run_id"], wait=True)
    assert sdk.threads.get_state(thread_id)["values"]["done"] == ["one"]
    assert sdk.threads.get(thread_id)["status"] == "interrupted"
    assert sdk.runs.wait(thread_id, "chat", input=CHAT)["messages"]


def test_cancel_too_late(sdk: Sdk, thread_id: str) -> None:
    """A run that has ended by itself cannot be cancelled."""
    sdk.runs.wait(thread_id, "steps", input=QUICK)
    with pytest.raises(NotFoundError, match="No matching runs to cancel"):
        sdk.runs.cancel(thread_id, sdk.runs.list(thread_id)[0]["run_id"])


def test_several_runs(sdk: Sdk) -> None:
    """Made at once, each on a thread of its own; those of one thread are cancelled at once, and deleted."""
    made = sdk.runs.create_batch([{"assistant_id": "steps", "input": QUICK, "metadata": {"n": n}} for n in range(2)])
    assert len({run["thread_id"] for run in made}) == 2
    assert [run["metadata"]["n"] for run in made] == [0, 1]
    thread_id = sdk.threads.create()["thread_id"]
    runs = [sdk.runs.create(thread_id, "stubborn", input=PATIENT) for _ in range(2)]
    until(sdk, runs[0], "running")
    assert sdk.runs.cancel_many(thread_id=thread_id, run_ids=[run["run_id"] for run in runs]) is None
    for run in runs:
        until(sdk, run, "interrupted")
        assert sdk.runs.delete(thread_id, run["run_id"]) is None
    assert sdk.runs.list(thread_id) == []


def test_runs_without_a_thread(sdk: Sdk) -> None:
    """In the background, streamed and waited for, on a thread that goes with the run."""
    run = sdk.runs.create(None, "steps", input=QUICK)
    assert sdk.runs.join(run["thread_id"], run["run_id"])["done"] == STEPS
    assert sdk.runs.stream(None, "steps", input=QUICK)[-1].data["done"] == STEPS
    assert sdk.runs.wait(None, "steps", input=QUICK)["done"] == STEPS


def test_reject(sdk: Sdk, thread_id: str) -> None:
    """A busy thread refuses a run that asks to be refused."""
    run = sdk.runs.create(thread_id, "stubborn", input=PATIENT)
    with pytest.raises(ConflictError, match="already running a task"):
        sdk.runs.create(thread_id, "steps", input=QUICK, multitask_strategy="reject")
    sdk.runs.cancel(thread_id, run["run_id"], wait=True)
    assert sdk.runs.wait(thread_id, "chat", input=CHAT, multitask_strategy="reject")


def test_missing(sdk: Sdk, thread_id: str) -> None:
    """A run of another thread is a plain 404, however it is asked for."""
    other = sdk.threads.create()["thread_id"]
    run_id = sdk.runs.create(other, "steps", input=QUICK)["run_id"]
    for call in (sdk.runs.get, sdk.runs.join, sdk.runs.join_stream, sdk.runs.cancel):
        with pytest.raises(httpx.HTTPStatusError) as caught:
            call(thread_id, run_id)
        assert caught.value.response.status_code == 404
