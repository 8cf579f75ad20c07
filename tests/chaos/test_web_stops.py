"""A web process that is told to stop lets everybody go at once, so that each client comes back to the next one."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos.conftest import status, until
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import parse
from tests.traces import hold, let_go, lines

RETRY = re.compile(rb"id: (\d+)\r\nretry: (\d+)\r\n\r\n$")


class Request:
    """One request on a bare socket, sent and not yet read."""

    def __init__(self, live: Live, method: str, path: str, body: Any = None, **headers: str) -> None:
        self._socket = live.send(method, path, body, **headers)
        self.received = b""

    def until(self, found: Callable[[bytes], object]) -> None:
        """Read until what has come so far is so."""
        while not found(self.received):
            more = self._socket.recv(65_536)
            assert more, self.received
            self.received += more

    def rest(self) -> tuple[int, dict[str, str], bytes, bool]:
        """Read to the close: status, headers, body, and whether the body came to its end."""
        while more := self._socket.recv(65_536):
            self.received += more
        self._socket.close()
        head, _, rest = self.received.partition(b"\r\n\r\n")
        first, *others = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in others)}
        if "transfer-encoding" not in headers:
            return int(first.split()[1]), headers, rest, True
        body, whole = b"", False
        while rest and not whole:
            size, _, rest = rest.partition(b"\r\n")
            chunk, rest = rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            body, whole = body + chunk, chunk == b""
        return int(first.split()[1]), headers, body, whole


@pytest.fixture
def run(live: Live, thread: str) -> Iterator[dict[str, Any]]:
    """A run that is in its first node and stays there for long."""
    run = dict(live.client().runs.create(thread, "stubborn", input={"kind": "patient", "seconds": 60}))
    until(live, run, "running")
    yield run
    live.http().post(f"/threads/{thread}/runs/{run['run_id']}/cancel")


@contextmanager
def web_stops(live: Live) -> Iterator[None]:
    """In the block the web process has been told to stop, and another one serves."""
    processes = [psutil.Process(pid) for pid in live.pids("web")]
    (old,) = (p for p in processes if p.ppid() in {other.pid for other in processes})
    told = len(live.log.read_text(errors="replace"))
    os.kill(old.ppid(), signal.SIGHUP)
    yield
    wait_for(lambda: not old.is_running(), what="the end of the old process")
    assert "Worker graceful timeout" not in live.log.read_text(errors="replace")[told:], "it ends before its patience"


def test_a_stream_ends_behind_a_whole_frame_and_asks_to_come_back(live: Live, thread: str, trace: Path) -> None:
    """The body lacks its last chunk: an orderly end would mean that the run is over."""
    hold(trace, "two")
    body = {"assistant_id": "steps", "input": {"trace": str(trace)}, "stream_mode": ["values", "custom"]}
    stream = Request(live, "POST", f"/threads/{thread}/runs/stream", body)
    stream.until(lambda received: b"event: custom" in received)
    with web_stops(live):
        code, headers, received, whole = stream.rest()
    let_go(trace)
    assert (code, whole) == (200, False)
    *frames, retry, nothing = received.split(b"\r\n\r\n")
    assert nothing == b""
    heard = _ids(frames)
    assert heard == list(range(1, len(heard) + 1))
    cursor, pause = map(int, RETRY.findall(received)[0])
    assert (cursor, retry) == (heard[-1], b"id: %d\r\nretry: %d" % (cursor, pause))
    assert 200 <= pause <= 1_200
    again = live.http().get(headers["location"], headers={"Last-Event-ID": str(cursor)}).content
    rest = _ids(again.split(b"\r\n\r\n"))
    assert rest == list(range(cursor + 1, cursor + 1 + len(rest)))
    assert live.client().runs.list(thread)[0]["status"] == "success"


def _ids(blocks: list[bytes]) -> list[int]:
    return [parse(block).id for block in blocks if block not in {b"", b": heartbeat"}]


def test_who_has_heard_nothing_yet_is_told_where_to_begin(live: Live, run: dict[str, Any]) -> None:
    """The run waits in the queue; a client that came back without an id would hear only what is said from then on."""
    stream = Request(live, "POST", f"/threads/{run['thread_id']}/runs/stream", {"assistant_id": "steps", "input": {}})
    stream.until(lambda received: b"\r\n\r\n" in received)
    with web_stops(live):
        received = stream.rest()[2]
    assert RETRY.match(received)
    assert received.startswith(b"id: 0\r\n")


def test_streams_come_back_at_different_times(live: Live, run: dict[str, Any]) -> None:
    """The pauses that a hundred streams are told are spread."""
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    streams = [Request(live, "GET", path) for _ in range(100)]
    for stream in streams:
        stream.until(lambda received: b"\r\n\r\n" in received)
    with web_stops(live):
        pauses = [int(RETRY.findall(stream.rest()[2])[0][1]) for stream in streams]
    assert max(pauses) - min(pauses) > 500
    assert status(live, run) == "running"


@pytest.mark.parametrize("ending", ["", "?format=json"])
def test_a_wait_is_cut_before_its_answer(live: Live, run: dict[str, Any], ending: str) -> None:
    """Nothing but white space has come, and no last chunk: no client takes it for JSON."""
    prefix = "/api" if ending else ""
    wait = Request(live, "GET", f"{prefix}/threads/{run['thread_id']}/runs/{run['run_id']}/join{ending}")
    wait.until(lambda received: b"\r\n\r\n" in received)
    with web_stops(live):
        code, headers, body, whole = wait.rest()
    assert (code, body.strip(), whole) == (200, b"", False)
    assert headers["location"] == f"/threads/{run['thread_id']}/runs/{run['run_id']}/join{ending}"


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_who_waits_for_a_cancel_asks_again(live: Live, thread: str, trace: Path, prefix: str) -> None:
    """Where the answer has no body to cut it is 503; asked again, the same cancel is answered."""
    hold(trace, "swallowing")
    given = {"kind": "swallowing", "seconds": 0, "trace": str(trace)}
    run = dict(live.client().runs.create(thread, "stubborn", input=given))
    wait_for(lambda: lines(trace), what="the node's start")
    path = f"{prefix}/threads/{thread}/runs/{run['run_id']}/cancel?wait=1"
    cancel = Request(live, "POST", path)
    marked = re.compile(f"Cancel marked .*run_id={run['run_id']}")
    wait_for(lambda: marked.search(live.log.read_text(errors="replace")), what="the mark")
    with web_stops(live):
        code, headers, _, whole = cancel.rest()
    let_go(trace)
    assert (code, whole) == ((503, True) if prefix else (200, False))
    assert "retry-after" in headers if prefix else "location" in headers
    assert live.http().post(path).status_code == (204 if prefix else 200)


def test_polls_answer_what_there_is(live: Live, run: dict[str, Any]) -> None:
    """Long before their time is up."""
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
    page = Request(live, "GET", f"{path}/events?after=999&wait=50")
    changed = Request(live, "GET", path, Prefer="wait=50")
    wait_for(lambda: live.http().get("/ok").is_success, what="requests behind them")
    with web_stops(live):
        code, headers, body, _ = page.rest()
        assert (code, json.loads(body)["next"], json.loads(body)["done"]) == (200, 999, False)
        assert headers["connection"] == "keep-alive"
        code, _, body, _ = changed.rest()
        assert (code, json.loads(body)["status"]) == (200, "running")


def test_no_run_is_cancelled_by_it(live: Live, thread: str, trace: Path) -> None:
    """Not even one whose creator wanted that when they leave: they have not left."""
    hold(trace, "one")
    body = {"assistant_id": "steps", "input": {"trace": str(trace)}, "on_disconnect": "cancel"}
    streams = [Request(live, "POST", f"/threads/{thread}/runs/{kind}", body) for kind in ("stream", "wait")]
    for stream in streams:
        stream.until(lambda received: b"\r\n\r\n" in received)
    with web_stops(live):
        for stream in streams:
            assert stream.rest()[3] is False
    let_go(trace)
    for run in live.client().runs.list(thread):
        until(live, dict(run), "success")
    assert lines(trace) == ["one", "two", "three", "four"] * 2


def test_connections_at_rest_do_not_hold_it_up(live: Live) -> None:
    """They are closed at once; who is being answered meanwhile gets a whole answer."""
    resting = HTTPConnection("127.0.0.1", live.port, timeout=30)
    resting.request("GET", "/live")
    assert resting.getresponse().read()
    with web_stops(live):
        assert resting.sock.recv(1) == b"", "closed, not reset"
    resting.close()
