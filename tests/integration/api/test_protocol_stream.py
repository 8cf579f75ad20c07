"""``POST /threads/{id}/stream/events``: what a whole thread says, in the v2 protocol."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import MOUNTS, Mount
from deerflow.backend import Backend
from deerflow.domain.ids import new_id
from deerflow.domain.protocol import seq_of
from deerflow.domain.runs import Run
from deerflow.domain.turns import Spot
from deerflow.domain.words import CancelAction, MultitaskStrategy, RunStatus
from deerflow.events.log import log_key
from deerflow.runtime.cancel import cancel
from deerflow.settings import Settings
from deerflow.storage import cancels
from tests.conftest import wait_for
from tests.factories import LOCAL_USER, OWNER, claim_run, make_app, make_run, make_running, make_thread, row_of
from tests.integration.api.conftest import by_mount, detail
from tests.integration.api.streaming import Stream
from tests.integration.events.telling import AT_MS, begin, end, say, say_v2

ALL = ["values", "updates", "messages", "tools", "custom", "lifecycle", "input", "tasks", "checkpoints"]
Event = dict[str, Any]


@pytest.fixture
def quick(backend: Backend) -> Backend:
    """The backend with heartbeats that a test can wait for."""
    return replace(backend, rules=replace(backend.rules, heartbeat_seconds=0.05))


@pytest.fixture
def web(settings: Settings, quick: Backend) -> FlaskClient:
    return make_app(settings, quick).test_client()


class Told(Stream):
    """A stream of protocol events."""

    def events(self, count: int) -> list[Event]:
        """The next events."""
        return [event_of(frame) for frame in self.frames(count)]


def event_of(frame: bytes) -> Event:
    name, data, event_id = frame.split(b"\r\n")
    event: Event = orjson.loads(data.removeprefix(b"data: "))
    assert name == b"event: " + event["method"].encode()
    assert event_id == b"id: %d" % event["seq"]
    return event


@pytest.fixture
def listen(web: FlaskClient) -> Callable[..., Any]:
    """Opens streams of threads."""

    @contextmanager
    def listen(thread_id: UUID, mount: Mount = MOUNTS[0], **body: Any) -> Iterator[Told]:
        asked = {"channels": ALL, **body}
        answer = web.post(f"{mount.prefix}/threads/{thread_id}/stream/events", json=asked, buffered=False)
        assert answer.status_code == 200, answer.text
        assert answer.content_type == "text/event-stream; charset=utf-8"
        with closing(answer):
            yield Told(answer.iter_encoded())

    return listen


def told(events: list[Event]) -> list[tuple[str, Any]]:
    """Of each event what it is."""
    return [(event["method"], event["params"]["data"].get("event") or event["params"]["data"]) for event in events]


def running(backend: Backend, thread_id: UUID | None = None) -> Run:
    run = make_running(backend, LOCAL_USER, thread_id=thread_id or make_thread(backend, LOCAL_USER).thread_id)
    begin(backend, run)
    return run


@by_mount
def test_a_run_is_told_from_its_beginning_to_its_end(quick: Backend, listen: Any, mount: Mount) -> None:
    run = running(quick)
    say_v2(quick, run, "values", {"a": 1})
    say_v2(quick, run, "custom", {"payload": 2}, "node:1", node="node")
    end(quick, run)
    with listen(run.thread_id, mount) as stream:
        begun, values, custom, over = stream.events(4)
        assert stream.is_silent()
    ended_ms = int(row_of(quick, run).updated_at.timestamp() * 1000)
    assert begun == {
        "type": "event",
        "event_id": f"synth:{run.run_id}:lc||running",
        "seq": seq_of(Spot(1, 1)),
        "method": "lifecycle",
        "params": {"namespace": [], "timestamp": AT_MS, "data": {"event": "running", "graph_name": "steps"}},
    }
    assert values == {
        "type": "event",
        "event_id": f"{run.run_id}:2",
        "seq": seq_of(Spot(1, 2)),
        "method": "values",
        "params": {"namespace": [], "timestamp": AT_MS, "data": {"a": 1}},
    }
    assert custom["params"] == {
        "namespace": ["node:1"], "timestamp": AT_MS, "node": "node", "data": {"payload": 2},
    }  # fmt: skip
    assert over == {
        "type": "event",
        "event_id": f"synth:{run.run_id}:lc||completed",
        "seq": seq_of(Spot(1, 4)),
        "method": "lifecycle",
        "params": {"namespace": [], "timestamp": ended_ms, "data": {"event": "completed", "graph_name": "steps"}},
    }


def test_the_stream_goes_on_from_one_run_to_the_next(quick: Backend, listen: Any) -> None:
    """It is open before the thread is there, and across its runs"""
    thread_id = new_id()
    with listen(thread_id) as stream:
        assert stream.is_silent()
        make_thread(quick, LOCAL_USER, thread_id=thread_id)
        for ordinal in (1, 2, 3):
            run = running(quick, thread_id)
            say_v2(quick, run, "values", {"n": ordinal})
            assert told(stream.events(2)) == [("lifecycle", "running"), ("values", {"n": ordinal})]
            end(quick, run)
            assert told(stream.events(1)) == [("lifecycle", "completed")]
        assert stream.is_silent()


def test_every_connection_hears_the_same_with_the_same_numbers(quick: Backend, listen: Any) -> None:
    """scenario 25: what a later one replays is what an earlier one has heard live"""
    thread_id = make_thread(quick, LOCAL_USER).thread_id
    with listen(thread_id) as stream:
        live = []
        for _ in range(2):
            run = running(quick, thread_id)
            say_v2(quick, run, "messages", {"event": "message-start"}, "node:1")
            live += stream.events(2)
            end(quick, run)
            live += stream.events(1)
    with listen(thread_id) as stream:
        assert stream.events(6) == live
    assert [event["seq"] for event in live] == sorted({event["seq"] for event in live})
    assert len({event["event_id"] for event in live}) == 6
    for n, event in enumerate(live):
        with listen(thread_id, since=event["seq"]) as stream:
            assert stream.events(5 - n) == live[n + 1 :]
            assert stream.is_silent()


def test_a_run_that_waits_is_told_after_the_one_before_it(quick: Backend, listen: Any) -> None:
    """However late this reader looks: the end of the first comes before the beginning of the second."""
    first = running(quick)
    second = make_run(quick, LOCAL_USER, thread_id=first.thread_id)
    with listen(first.thread_id) as stream:
        stream.events(1)
        end(quick, first)
        claimed = claim_run(quick, second)
        assert claimed is not None
        begin(quick, claimed)
        say_v2(quick, claimed, "values", {"a": 2})
        events = stream.events(3)
    assert told(events) == [("lifecycle", "completed"), ("lifecycle", "running"), ("values", {"a": 2})]
    assert str(second.run_id) in events[1]["event_id"]


ENDS: list[tuple[RunStatus, dict[str, Any], tuple[str, str | None]]] = [
    (RunStatus.ERROR, {"error": {"error": "ValueError", "message": "boom"}}, ("failed", "boom")),
    (RunStatus.TIMEOUT, {"error": {"error": "TimeoutError", "message": "late"}}, ("failed", "late")),
    (RunStatus.INTERRUPTED, {}, ("interrupted", None)),
    (RunStatus.SUCCESS, {"is_paused": True}, ("interrupted", None)),
    (RunStatus.SUCCESS, {"left": {"__interrupt__": "a channel of the graph's own"}}, ("completed", None)),
]


def test_the_end_is_the_one_that_the_row_tells(quick: Backend, listen: Any) -> None:
    thread_id = make_thread(quick, LOCAL_USER).thread_id
    with listen(thread_id, channels=["lifecycle"]) as stream:
        for status, ending, how in ENDS:
            run = running(quick, thread_id)
            if status is RunStatus.ERROR:
                say(quick, run, "error", ending["error"])
            end(quick, run, status, **ending)
            told_of_it = [event["params"]["data"] for event in stream.events(2)]
            assert [(data["event"], data.get("error")) for data in told_of_it] == [("running", None), how]


def test_a_question_is_told_by_its_run(quick: Backend, listen: Any) -> None:
    run = running(quick)
    say_v2(quick, run, "input.requested", {"interrupt_id": "i1", "payload": "ok?"}, "ask:7")
    with listen(run.thread_id, channels=["input"]) as stream:
        (asked,) = stream.events(1)
    assert asked["method"] == "input.requested"
    assert asked["event_id"] == f"synth:{run.run_id}:input|ask:7|i1"
    assert asked["params"]["data"] == {"interrupt_id": "i1", "payload": "ok?", "value": "ok?"}


def test_a_new_attempt_goes_on_without_another_beginning(quick: Backend, listen: Any) -> None:
    run = running(quick)
    say(quick, run, "metadata", {"run_id": run.run_id, "attempt": 2})
    say_v2(quick, run, "values", {"a": 1})
    with listen(run.thread_id) as stream:
        assert told(stream.events(2)) == [("lifecycle", "running"), ("values", {"a": 1})]
        assert stream.is_silent()


def test_a_run_of_the_older_protocol_is_told_by_its_values(quick: Backend, listen: Any) -> None:
    message = {
        "type": "ai", "content": "hi", "id": "m1", "name": None, "additional_kwargs": {}, "usage_metadata": None,
        "response_metadata": {}, "invalid_tool_calls": [],
        "tool_calls": [{"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}],
    }  # fmt: skip
    tool = {"type": "tool", "content": "2", "tool_call_id": "c1", "status": "success", "artifact": None, "name": "add"}
    run = running(quick)
    values = {"messages": [message, tool], "n": 1, "__interrupt__": [{"id": "i1", "value": "ok?"}]}
    say(quick, run, "messages", [{"content": "h"}, {}])
    say(quick, run, "values|child:1", {"n": 0})
    place = say(quick, run, "values", values)
    end(quick, run)
    with listen(run.thread_id) as stream:
        _, below, state, asked, _ = stream.events(5)
    assert below["params"] == {"namespace": ["child:1"], "timestamp": AT_MS, "data": {"n": 0}}
    shown = [
        {
            "type": "ai", "content": "hi", "id": "m1",
            "tool_calls": [{"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 1}}],
        },
        {"type": "tool", "content": "2", "name": "add", "tool_call_id": "c1", "status": "success", "artifact": None},
    ]  # fmt: skip
    assert state["params"]["data"] == {"messages": shown, "n": 1}
    assert asked["params"]["data"] == {"interrupt_id": "i1", "payload": "ok?", "value": "ok?"}
    assert (state["seq"], asked["seq"]) == (seq_of(Spot(1, place)), seq_of(Spot(1, place), 1))
    assert asked["event_id"] == f"synth:{run.run_id}:input||i1"


def test_only_what_was_asked_for_is_told(quick: Backend, listen: Any) -> None:
    """All wishes: tests/unit/domain/test_protocol.py."""
    run = running(quick)
    say_v2(quick, run, "values", {"said": "root"})
    say_v2(quick, run, "values", {"said": "below"}, "a:1")
    say_v2(quick, run, "custom", {"payload": 1, "name": "mine", "said": "named"})
    for body, heard in (
        ({"channels": ["values"]}, ["root", "below"]),
        ({"channels": ["values"], "namespaces": [[]], "depth": 0}, ["root"]),
        ({"channels": ["custom:mine", "values"], "namespaces": [["a"]]}, ["below"]),
        ({"channels": ["custom:mine"], "depth": True, "since": True, "namespaces": None}, ["named"]),
    ):
        with listen(run.thread_id, **body) as stream:
            assert [event["params"]["data"]["said"] for event in stream.events(len(heard))] == heard
            assert stream.is_silent()


WRONG = [
    ({}, "channels is required and must be a non-empty array"),
    ({"channels": []}, "channels is required and must be a non-empty array"),
    ({"channels": "values"}, "channels is required and must be a non-empty array"),
    ({"channels": ["values", "zz", 7, "custom:"]}, "channels contains unsupported entries: zz, 7, custom:. "),
    ({"channels": ["values"], "namespaces": ["a"]}, "namespaces must be an array of arrays of strings"),
    ({"channels": ["values"], "namespaces": {}}, "namespaces must be an array of arrays of strings"),
]


@by_mount
def test_a_wish_that_cannot_be_met_is_refused(web: FlaskClient, mount: Mount) -> None:
    for body, wrong in WRONG:
        answer = web.post(f"{mount.prefix}/threads/{new_id()}/stream/events", json=body)
        assert detail(answer, 400).startswith(wrong)


def test_somebody_elses_thread_is_silent(quick: Backend, listen: Any) -> None:
    run = make_running(quick, OWNER)
    begin(quick, run)
    with listen(run.thread_id) as stream:
        assert stream.is_silent()
        end(quick, run)
        make_run(quick, OWNER, thread_id=run.thread_id)
        assert stream.is_silent()


def test_a_run_that_was_stopped_before_it_began_is_told_as_interrupted(quick: Backend, listen: Any) -> None:
    first = running(quick)
    second = make_run(quick, LOCAL_USER, thread_id=first.thread_id)
    with listen(first.thread_id) as stream:
        stream.events(1)
        cancel(quick, LOCAL_USER, second.thread_id, second.run_id, CancelAction.INTERRUPT)
        assert stream.is_silent()  # the first one is still told
        end(quick, first)
        events = stream.events(2)
    assert told(events) == [("lifecycle", "completed"), ("lifecycle", "interrupted")]
    assert events[1]["event_id"] == f"synth:{second.run_id}:lc||interrupted"


@pytest.mark.parametrize("begun", [True, False])
def test_a_run_that_is_rolled_back_is_told_as_interrupted_to_who_follows_it(
    quick: Backend, listen: Any, *, begun: bool
) -> None:
    """And not at all to who comes later: it has never been."""
    thread_id = make_thread(quick, LOCAL_USER).thread_id
    run = running(quick, thread_id) if begun else make_run(quick, LOCAL_USER, thread_id=thread_id)
    with listen(thread_id) as stream:
        assert told(stream.events(int(begun))) == [("lifecycle", "running")][: int(begun)]
        assert stream.is_silent()
        cancel(quick, LOCAL_USER, thread_id, run.run_id, CancelAction.ROLLBACK)
        if begun:
            with quick.db.begin() as tx:
                assert cancels.roll_back(tx, run)
            quick.log.wake(run.run_id)
        assert told(stream.events(1)) == [("lifecycle", "interrupted")]
    with listen(thread_id) as stream:
        assert stream.is_silent()


def test_a_run_whose_log_is_no_longer_kept_is_left_out(quick: Backend, listen: Any) -> None:
    first = running(quick)
    end(quick, first)
    second = running(quick, first.thread_id)
    end(quick, second)
    quick.log._redis.delete(log_key(first.run_id))
    with listen(first.thread_id) as stream:
        assert {event["seq"] >> 32 for event in stream.events(2)} == {2}
        assert stream.is_silent()


def test_a_run_whose_first_words_went_is_still_told_with_its_beginning(quick: Backend, listen: Any) -> None:
    run = running(quick)
    say_v2(quick, run, "values", {"a": 1})
    quick.log._redis.lpop(log_key(run.run_id))
    quick.log._redis.hset(f"df:{run.run_id}:head", "base", 1)
    with listen(run.thread_id) as stream:
        events = stream.events(2)
    assert told(events) == [("lifecycle", "running"), ("values", {"a": 1})]
    assert [event["seq"] for event in events] == [seq_of(Spot(1, 1)), seq_of(Spot(1, 2))]


def test_a_new_run_is_heard_of_although_its_doorbell_is_lost(
    quick: Backend, listen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind every doorbell there is a clock."""
    thread_id = make_thread(quick, LOCAL_USER).thread_id
    with listen(thread_id) as stream:
        assert stream.is_silent()
        monkeypatch.setattr(type(quick.threads), "wake", lambda *_: None)
        run = running(quick, thread_id)
        assert told(stream.events(1)) == [("lifecycle", "running")]
        end(quick, run)


def test_a_new_run_rings_who_follows_its_thread(settings: Settings, backend: Backend) -> None:
    """At once, and not at the next heartbeat."""
    web, thread_id = make_app(settings, backend).test_client(), make_thread(backend, LOCAL_USER).thread_id
    body = {"channels": ["lifecycle"]}
    answer = web.post(f"/threads/{thread_id}/stream/events", json=body, buffered=False)
    with closing(answer), ThreadPoolExecutor(1) as pool:
        heard = pool.submit(lambda: Told(answer.iter_encoded()).events(1))
        wait_for(lambda: backend.threads._doors, what="the follower")
        began = time.monotonic()
        running(backend, thread_id)
        assert told(heard.result(20)) == [("lifecycle", "running")]
        assert time.monotonic() - began < backend.rules.heartbeat_seconds / 2


def test_a_displaced_run_ends_before_the_one_that_displaced_it_begins(quick: Backend, listen: Any) -> None:
    first = running(quick)
    with listen(first.thread_id) as stream:
        stream.events(1)
        second = make_run(quick, LOCAL_USER, thread_id=first.thread_id, multitask_strategy=MultitaskStrategy.INTERRUPT)
        assert stream.is_silent()
        end(quick, first, RunStatus.INTERRUPTED)
        claimed = claim_run(quick, second)
        assert claimed is not None
        begin(quick, claimed)
        assert told(stream.events(2)) == [("lifecycle", "interrupted"), ("lifecycle", "running")]


def test_many_runs_are_replayed_page_by_page(quick: Backend, listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deerflow.runtime.attend._AT_ONCE", 2)
    thread_id = make_thread(quick, LOCAL_USER).thread_id
    for _ in range(5):
        end(quick, running(quick, thread_id))
    last = running(quick, thread_id)
    with listen(thread_id, channels=["lifecycle"]) as stream:
        events = stream.events(11)
        assert [event["seq"] >> 32 for event in events] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]
        end(quick, last)
        assert told(stream.events(1)) == [("lifecycle", "completed")]


def test_a_stopping_process_asks_the_reader_to_come_back(quick: Backend, listen: Any) -> None:
    run = running(quick)
    with listen(run.thread_id) as stream:
        stream.events(1)
        quick.wakeups.end_waits()
        assert stream.last_frame().startswith(b"retry: ")
