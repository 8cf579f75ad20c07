"""``POST /threads/{id}/commands``: how clients of the v2 protocol start runs and answer their questions."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient

from deerflow.api import commands
from deerflow.api.mounts import MOUNTS, Mount
from deerflow.backend import Backend
from deerflow.domain.ids import new_id
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import MultitaskStrategy, RunStatus
from deerflow.runtime.settle import settle
from deerflow.storage import runs
from tests.conftest import SilentBell, wait_for
from tests.factories import LOCAL_USER, OWNER, at_once, make_run, make_running, make_thread, row_of, thread_of
from tests.integration.api.conftest import by_mount
from tests.integration.events.telling import end

Command = Callable[..., Any]


@pytest.fixture
def command(web: FlaskClient) -> Command:
    """Sends commands, and returns what is answered."""

    def command(
        thread_id: UUID | str, method: str, mount: Mount = MOUNTS[0], headers: Any = None, **params: Any
    ) -> dict[str, Any]:
        body = {"id": 7, "method": method, "params": params}
        answer = web.post(f"{mount.prefix}/threads/{thread_id}/commands", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.get_json()
        assert told["id"] == 7
        return told

    return command


def row(backend: Backend, thread_id: UUID | str) -> Run:
    """The newest run of a thread."""
    with backend.db.read() as tx:
        return runs.page(tx, LOCAL_USER, UUID(str(thread_id)), status=None, limit=1, offset=0)[0]


def count(backend: Backend, thread_id: UUID | str) -> int:
    with backend.db.read() as tx:
        return len(runs.page(tx, LOCAL_USER, UUID(str(thread_id)), status=None, limit=100, offset=0))


def ask(backend: Backend, run: Run, *ids: str) -> None:
    """End a run with open questions."""
    asked = [{"id": each, "value": "ok?"} for each in ids]
    head = ThreadHead({"a": 1}, ("ask",), {"a-task": asked})
    end(backend, run, left={"a": 1, "__interrupt__": asked}, head=head)


@pytest.fixture
def asking(backend: Backend) -> Run:
    """A run that has ended with two questions."""
    run = make_running(backend, LOCAL_USER, thread_id=make_thread(backend, LOCAL_USER).thread_id)
    ask(backend, run, "i1", "i2")
    return run


@by_mount
def test_a_run_starts_on_a_thread_that_its_client_made_up(backend: Backend, command: Command, mount: Mount) -> None:
    thread_id = uuid4()
    answer = command(
        thread_id, "run.start", mount, assistant_id="steps", input={"a": 1}, metadata={"m": 1},
        config={"configurable": {"thread_id": str(thread_id), "x": 1}, "metadata": {"c": 1}}, langsmith_tracer=None,
    )  # fmt: skip
    run = row(backend, thread_id)
    assert answer == {
        "type": "success", "id": 7, "result": {"run_id": str(run.run_id)}, "meta": {"applied_through_seq": 0},
    }  # fmt: skip
    assert run.multitask_strategy is MultitaskStrategy.ENQUEUE
    assert run.metadata["m"] == run.metadata["c"] == 1
    wanted = {"protocol": "v2", "input": {"a": 1}, "resumable": True, "subgraphs": True, "on_disconnect": "continue"}
    assert {name: run.kwargs[name] for name in wanted} == wanted
    assert run.kwargs["config"]["configurable"]["x"] == 1
    assert thread_of(backend, run, LOCAL_USER).metadata["graph_id"] == "steps"


@pytest.mark.parametrize("name", ["multitaskStrategy", "multitask_strategy"])
def test_the_strategy_is_taken_in_both_spellings(backend: Backend, command: Command, name: str) -> None:
    """And a client's default, interrupt, stops what runs."""
    first = make_running(backend, LOCAL_USER, thread_id=make_thread(backend, LOCAL_USER).thread_id)
    command(first.thread_id, "run.start", assistant_id="steps", input={}, **{name: "interrupt"})
    assert row_of(backend, first).cancel_action == "interrupt"
    refused = command(first.thread_id, "run.start", assistant_id="steps", input={}, **{name: "reject"})
    assert (refused["type"], refused["error"]) == ("error", "unknown_error")
    assert refused["message"].startswith("409: Thread is already running a task.")


def test_a_run_may_fork_from_a_checkpoint(backend: Backend, command: Command, asking: Run) -> None:
    """Then its input is no answer, although the thread's head waits for one."""
    checkpoint = str(new_id())
    config = {"configurable": {"checkpoint_id": checkpoint}}
    command(asking.thread_id, "run.start", assistant_id="steps", input={"a": 1}, config=config)
    run = row(backend, asking.thread_id)
    assert (run.kwargs["checkpoint"]["checkpoint_id"], run.kwargs["input"]) == (checkpoint, {"a": 1})


def test_an_input_answers_what_the_thread_waits_for(backend: Backend, command: Command, asking: Run) -> None:
    command(asking.thread_id, "run.start", assistant_id="steps", input={"a": 1})
    first = row(backend, asking.thread_id)
    assert (first.kwargs["input"], first.kwargs["command"]) == (None, {"resume": {"a": 1}})
    command(asking.thread_id, "run.start", assistant_id="steps", input={"a": 2})
    second = row(backend, asking.thread_id)
    assert (second.kwargs["input"], second.kwargs["command"]) == ({"a": 2}, None)


def test_without_an_input_the_thread_just_goes_on(backend: Backend, command: Command, asking: Run) -> None:
    command(asking.thread_id, "run.start", assistant_id="steps", input=None)
    assert row(backend, asking.thread_id).kwargs["command"] is None


@by_mount
def test_an_answer_starts_a_run_that_goes_on(backend: Backend, command: Command, asking: Run, mount: Mount) -> None:
    answer = command(
        asking.thread_id, "input.respond", mount, interrupt_id="i1", response={"ok": True}, namespace=[],
        update={"b": 2}, goto="next", metadata={"m": 1}, config={"configurable": {"x": 1}},
    )  # fmt: skip
    assert (answer["type"], answer["result"]) == ("success", {})
    run = row(backend, asking.thread_id)
    assert run.kwargs["command"] == {"resume": {"i1": {"ok": True}}, "update": {"b": 2}, "goto": "next"}
    assert (run.kwargs["protocol"], run.kwargs["input"], run.metadata["m"]) == ("v2", None, 1)
    assert run.kwargs["config"]["configurable"]["x"] == 1
    assert run.assistant_id == asking.assistant_id


def test_several_answers_start_one_run(backend: Backend, command: Command, asking: Run) -> None:
    responses = [{"interrupt_id": "i1", "response": 1, "namespace": []}, {"interrupt_id": "i2", "response": None}]
    assert command(asking.thread_id, "input.respond", responses=responses)["type"] == "success"
    assert count(backend, asking.thread_id) == 2
    assert row(backend, asking.thread_id).kwargs["command"] == {"resume": {"i1": 1, "i2": None}}


def test_a_question_that_nobody_has_asked_is_not_answered(backend: Backend, command: Command, asking: Run) -> None:
    one = {"interrupt_id": "zz", "response": 1}
    for params in (one, {"responses": [{"interrupt_id": "i1", "response": 1}, one]}):
        answer = command(asking.thread_id, "input.respond", **params)
        assert answer == {
            "type": "error", "id": 7, "error": "no_such_interrupt",
            "message": "Unknown or already-consumed interrupt: zz",
        }  # fmt: skip
    assert count(backend, asking.thread_id) == 1


def test_of_two_answers_at_once_one_counts(backend: Backend, command: Command, asking: Run) -> None:
    def act() -> str:
        return str(command(asking.thread_id, "input.respond", interrupt_id="i1", response=1).get("error"))

    assert sorted(at_once(act, act)) == ["None", "no_such_interrupt"]
    assert count(backend, asking.thread_id) == 2


def test_who_answers_before_the_run_has_ended_need_not_ask_again(backend: Backend, command: Command) -> None:
    """A run's question is heard a moment before its row says that it has ended."""
    run = make_running(backend, LOCAL_USER, thread_id=make_thread(backend, LOCAL_USER).thread_id)
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(command, run.thread_id, "input.respond", interrupt_id="i1", response=1)
        wait_for(lambda: backend.wakeups._channels, what="the answer to wait")
        ask(backend, run, "i1")
        assert answering.result(10)["type"] == "success"
    assert row(backend, run.thread_id).kwargs["command"] == {"resume": {"i1": 1}}


def test_a_run_that_ends_between_two_looks_is_answered(
    backend: Backend, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look finds it running, the second, whether it is worth waiting, that nothing runs."""
    run = make_running(backend, LOCAL_USER, thread_id=make_thread(backend, LOCAL_USER).thread_id)

    def ends_now(*args: Any, **kwargs: Any) -> bool:
        ask(backend, run, "i1")
        return settle(*args, **kwargs)

    monkeypatch.setattr(commands, "settle", ends_now)
    assert command(run.thread_id, "input.respond", interrupt_id="i1", response=1)["type"] == "success"
    assert count(backend, run.thread_id) == 2


def test_where_nothing_has_run_there_is_nothing_to_answer(backend: Backend, command: Command) -> None:
    def told(thread_id: UUID) -> str:
        return str(command(thread_id, "input.respond", interrupt_id="i1", response=1)["error"])

    assert told(new_id()) == told(make_run(backend, OWNER).thread_id) == "no_such_run"
    assert told(make_thread(backend, LOCAL_USER).thread_id) == "no_such_interrupt"


REFUSED = [
    ("run.start", {"input": {}}, "invalid_argument"),
    ("run.start", {"assistant_id": "steps", "config": {"configurable": {"checkpoint_id": "x"}}}, "invalid_argument"),
    ("run.start", {"assistant_id": "steps", "config": 7}, "invalid_argument"),
    ("run.start", {"assistant_id": "steps", "multitaskStrategy": "never"}, "invalid_argument"),
    ("run.start", {"assistant_id": "nothing"}, "unknown_error"),
    ("run.start", {"assistant_id": str(uuid4())}, "unknown_error"),
    ("input.respond", {}, "invalid_argument"),
    ("input.respond", {"responses": [{"response": 1}]}, "invalid_argument"),
    ("input.respond", {"interrupt_id": 7}, "invalid_argument"),
    ("agent.getTree", {}, "no_such_run"),
    ("state.get", {}, "unknown_command"),
    ("subscription.subscribe", {"channels": ["values"]}, "unknown_command"),
    ("zz", {}, "unknown_command"),
]


@by_mount
def test_what_the_protocol_refuses_is_no_failure_of_http(backend: Backend, command: Command, mount: Mount) -> None:
    thread_id = make_thread(backend, LOCAL_USER).thread_id
    for method, params, error in REFUSED:
        answer = command(thread_id, method, mount, **params)
        assert (answer["type"], answer["error"]) == ("error", error), (method, params)
        assert answer["message"]
    assert count(backend, thread_id) == 0


def test_an_unknown_assistant_is_told_with_its_status(command: Command) -> None:
    answer = command(uuid4(), "run.start", assistant_id="nothing", input={})
    assert answer["message"].startswith("422: Invalid assistant: 'nothing'.")


@by_mount
def test_what_is_no_command_is_refused(web: FlaskClient, mount: Mount) -> None:
    path = f"{mount.prefix}/threads/{uuid4()}/commands"
    answer = web.post(path, data="{", content_type="application/json")
    assert (answer.status_code, answer.get_json()) == (400, {"detail": "Invalid JSON body"})
    for body in ({}, {"id": 1}, {"id": "1", "method": "run.start"}, {"id": True, "method": "x"}, [], 7,
                 {"id": 1, "method": 7}, {"id": 1, "method": "x", "params": []}):  # fmt: skip
        answer = web.post(path, json=body)
        told = answer.get_json()
        assert (answer.status_code, told["type"], told["error"]) == (400, "error", "invalid_argument")
        assert told["message"] == told["detail"]


def test_a_retried_command_starts_one_run(backend: Backend, command: Command) -> None:
    thread_id, key = uuid4(), {"Idempotency-Key": "k1"}
    first = command(thread_id, "run.start", headers=key, assistant_id="steps", input={})
    again = command(thread_id, "run.start", headers=key, assistant_id="steps", input={})
    assert first == again
    assert count(backend, thread_id) == 1


def test_a_run_is_rung_and_its_end_can_be_awaited(command: Command, bell: SilentBell, web: FlaskClient) -> None:
    """It is a run like any other."""
    thread_id = uuid4()
    run_id = command(thread_id, "run.start", assistant_id="steps", input={})["result"]["run_id"]
    assert [str(run.run_id) for run in bell.rings] == [run_id]
    shown = web.get(f"/threads/{thread_id}/runs/{run_id}").get_json()
    assert (shown["status"], shown["kwargs"]["protocol"]) == (RunStatus.PENDING, "v2")
    assert web.post(f"/threads/{thread_id}/runs/{run_id}/cancel").status_code == 202
