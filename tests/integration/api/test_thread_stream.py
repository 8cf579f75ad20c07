"""``GET /threads/{id}/stream``: what a whole thread says, in its runs' own words."""

from collections.abc import Callable, Iterator
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
from deerflow.domain.runs import Run
from deerflow.settings import Settings
from tests.factories import LOCAL_USER, claim_run, make_app, make_run, make_running, make_thread
from tests.integration.api.conftest import by_mount, detail
from tests.integration.api.streaming import Stream
from tests.integration.events.telling import begin, end, say, say_v2

Listen = Callable[..., Any]


@pytest.fixture
def quick(backend: Backend) -> Backend:
    """The backend with heartbeats that a test can wait for."""
    return replace(backend, rules=replace(backend.rules, heartbeat_seconds=0.05))


@pytest.fixture
def web(settings: Settings, quick: Backend) -> FlaskClient:
    return make_app(settings, quick).test_client()


@pytest.fixture
def listen(web: FlaskClient) -> Listen:
    """Opens streams of threads."""

    @contextmanager
    def listen(
        thread_id: UUID, after: str | None = None, query: str = "", mount: Mount = MOUNTS[0]
    ) -> Iterator[Stream]:
        headers = {} if after is None else {"Last-Event-ID": after}
        path = f"{mount.prefix}/threads/{thread_id}/stream"
        answer = web.get(path, query_string=query, headers=headers, buffered=False)
        assert answer.status_code == 200, answer.text
        assert not {"Location", "Content-Location"} & set(answer.headers.keys())
        with closing(answer):
            yield Stream(answer.iter_encoded())

    return listen


def told(frames: list[bytes]) -> list[tuple[str, Any, str]]:
    """Name, data and id of each frame."""
    found = []
    for frame in frames:
        name, data, event_id = frame.decode().split("\r\n")
        found.append((name.removeprefix("event: "), orjson.loads(data[6:]), event_id.removeprefix("id: ")))
    return found


def say_a_run(backend: Backend, thread_id: UUID) -> Run:
    """A run with one value, which has ended."""
    run = make_running(backend, LOCAL_USER, thread_id=thread_id)
    begin(backend, run)
    say(backend, run, "values", {"n": run.ordinal})
    end(backend, run)
    return run


@pytest.fixture
def thread_id(backend: Backend) -> UUID:
    return make_thread(backend, LOCAL_USER).thread_id


@by_mount
def test_all_that_is_kept_is_told_to_who_asks_for_it_and_then_what_comes(
    quick: Backend, listen: Listen, thread_id: UUID, mount: Mount
) -> None:
    first = say_a_run(quick, thread_id)
    with listen(thread_id, "-", mount=mount) as stream:
        whole = stream.frames(3)
        second = say_a_run(quick, thread_id)
        whole += stream.frames(3)
        assert stream.is_silent()
    assert told(whole) == [
        frame
        for n, run in ((1, first), (2, second))
        for frame in (
            ("metadata", {"run_id": str(run.run_id), "attempt": 1}, f"{n}-1"),
            ("values", {"n": n}, f"{n}-2"),
            ("metadata", {"status": "run_done", "run_id": str(run.run_id)}, f"{n}-3"),
        )
    ]
    for n, frame in enumerate(told(whole)):
        with listen(thread_id, frame[2]) as stream:
            assert stream.frames(5 - n) == whole[n + 1 :]
            assert stream.is_silent()


@pytest.mark.parametrize("cursor", [None, ""])
def test_without_a_cursor_only_what_comes_from_now_on_is_told(
    quick: Backend, listen: Listen, thread_id: UUID, cursor: str | None
) -> None:
    """An empty one is none: what an EventSource may send that has heard nothing yet."""
    say_a_run(quick, thread_id)
    run = make_running(quick, LOCAL_USER, thread_id=thread_id)
    begin(quick, run)
    waiting = make_run(quick, LOCAL_USER, thread_id=thread_id)
    with listen(thread_id, cursor) as stream:
        assert stream.is_silent()
        say(quick, run, "values", {"n": 2})
        end(quick, run)
        assert [frame[2] for frame in told(stream.frames(2))] == ["2-2", "2-3"]
        claimed = claim_run(quick, waiting)
        assert claimed is not None
        begin(quick, claimed)
        assert [frame[2] for frame in told(stream.frames(1))] == ["3-1"]


def test_who_is_asked_to_come_back_misses_nothing(quick: Backend, listen: Listen, thread_id: UUID) -> None:
    """Also who has heard nothing yet."""
    say_a_run(quick, thread_id)
    with listen(thread_id) as stream:
        assert stream.is_silent()
        quick.wakeups.end_waits()
        last = stream.last_frame()
    quick.wakeups.ending = False
    say_a_run(quick, thread_id)
    with listen(thread_id, last.partition(b"\r\n")[0].removeprefix(b"id: ").decode()) as stream:
        assert [frame[2] for frame in told(stream.frames(3))] == ["2-1", "2-2", "2-3"]


@pytest.mark.parametrize(
    "query", ["stream_modes=lifecycle", "stream_mode=lifecycle", "stream_mode=lifecycle,state_update"]
)
def test_lifecycle_tells_only_that_runs_begin_and_end(
    quick: Backend, listen: Listen, thread_id: UUID, query: str
) -> None:
    say_a_run(quick, thread_id)
    with listen(thread_id, "0-0", query) as stream:
        assert [frame[2] for frame in told(stream.frames(2))] == ["1-1", "1-3"]
        assert stream.is_silent()


def test_a_run_of_the_v2_protocol_is_told_in_the_older_words(quick: Backend, listen: Listen, thread_id: UUID) -> None:
    run = make_running(quick, LOCAL_USER, thread_id=thread_id)
    begin(quick, run)
    say_v2(quick, run, "tasks", {"id": "t"})
    say_v2(quick, run, "values", {"n": 1})
    with listen(thread_id, "-") as stream:
        assert [frame[::2] for frame in told(stream.frames(2))] == [("metadata", "1-1"), ("values", "1-3")]
        assert stream.is_silent()


@by_mount
def test_a_wish_that_is_none_is_refused(web: FlaskClient, mount: Mount) -> None:
    path = f"{mount.prefix}/threads/{new_id()}/stream"
    assert detail(web.get(path, query_string="stream_modes=run_modes,zz"), 422).startswith(
        "stream_modes: zz is not one"
    )
    for text in ("7", "x", "1-", "-1-1", "1-1-1", "99999999999999999999-1"):
        answer = web.get(path, headers={"Last-Event-ID": text})
        assert detail(answer, 422).startswith("Invalid last-event-id:")
