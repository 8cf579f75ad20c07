"""The bytes of a stream: head, framing, heartbeats, and what is true when it closes."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from deerflow.api.cors import EXPOSED
from deerflow.api.mounts import Mount
from tests.conformance.conftest import Wire, by_mount
from tests.live import Live

PATIENT = {"kind": "patient", "seconds": 60}
FRAME = re.compile(rb"event: [a-z]+\r\ndata: [^\r\n]+\r\nid: (\d+)\r\n\r\n")
HEARTBEAT = b": heartbeat\r\n\r\n"
ROOM_SECONDS = 10
"""What a busy machine may add."""


class Connection:
    """One HTTP request on a bare socket."""

    def __init__(self, live: Live, method: str, path: str, body: Any = None, **headers: str) -> None:
        self._socket = live.send(method, path, body, **headers)
        self._received = b""

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers, their names in lower case."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, self._received = self._received.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        headers = [line.split(": ", 1) for line in lines]
        names = [name.lower() for name, _ in headers]
        assert len(names) == len(set(names)), names
        return int(status.split()[1]), {name.lower(): value for name, value in headers}

    def chunk(self) -> bytes:
        """The next chunk of the body; empty at its end."""
        while b"\r\n" not in self._received:
            self._receive()
        size, self._received = self._received.split(b"\r\n", 1)
        length = int(size, 16)
        while len(self._received) < length + 2:
            self._receive()
        chunk, rest = self._received[:length], self._received[length:]
        assert rest.startswith(b"\r\n")
        self._received = rest[2:]
        return chunk

    def body(self) -> bytes:
        """The rest of the body."""
        return b"".join(iter(self.chunk, b""))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self) -> None:
        received = self._socket.recv(65536)
        assert received, "the server has closed the connection"
        self._received += received


@contextmanager
def connected(live: Live, method: str, path: str, body: Any = None) -> Iterator[Connection]:
    """A request, hung up at the end of the block."""
    connection = Connection(live, method, path, body)
    try:
        yield connection
    finally:
        connection.close()


_READ_BY_ANYBODY = {
    "vary": "Cookie",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": ", ".join(EXPOSED),
}
"""With accounts an answer is its caller's, and pages of any origin may call with a key; without, named ones may."""


@by_mount
def test_head_of_a_stream(live: Live, wire: Wire, mount: Mount) -> None:
    """The headers are these and no others; they name the run, and where to come back to."""
    path = f"{mount.prefix}/threads/{wire.thread}/runs/stream"
    with connected(live, "POST", path, {"assistant_id": "steps", "input": {"pause": 0.0}}) as connection:
        status, headers = connection.head()
        connection.body()
    run_id = wire.http.get(f"/threads/{wire.thread}/runs").json()[0]["run_id"]
    headers.pop("date")
    assert headers.pop("server")
    assert headers.pop("x-request-id")
    assert (status, headers) == (
        200,
        {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": {"platform": "no-store", "gateway": "no-cache"}[mount.name],
            "connection": "keep-alive",
            "x-accel-buffering": "no",
            "transfer-encoding": "chunked",
            "location": f"{wire.path(run_id)}/stream",
            "content-location": mount.prefix + wire.path(run_id),
            **(_READ_BY_ANYBODY if live.api_key else {"vary": "Origin"}),
        },
    )


@by_mount
def test_head_of_a_wait(live: Live, wire: Wire, mount: Mount) -> None:
    """A wait names its run, and a path under which the answer can be fetched again."""
    path = f"{mount.prefix}/threads/{wire.thread}/runs/wait"
    with connected(live, "POST", path, {"assistant_id": "steps", "input": {"pause": 0.0}}) as connection:
        status, headers = connection.head()
        answer = json.loads(connection.body())
    run_id = wire.http.get(f"/threads/{wire.thread}/runs").json()[0]["run_id"]
    assert (status, headers["content-type"]) == (200, "application/json")
    assert headers["content-location"] == mount.prefix + wire.path(run_id)
    join = {"platform": "/join", "gateway": "/join?format=json"}[mount.name]
    assert headers["location"] == wire.path(run_id) + join
    assert wire.http.get(mount.prefix + headers["location"]).json() == answer


def test_frames(live: Live, wire: Wire) -> None:
    """Every line ends with CRLF; the ids count from 1 without a hole."""
    modes = ["values", "updates", "custom"]
    body = {"assistant_id": "steps", "input": {"pause": 0.0}, "stream_mode": modes}
    with connected(live, "POST", f"/threads/{wire.thread}/runs/stream", body) as connection:
        connection.head()
        received = connection.body()
    assert FRAME.sub(b"", received) == b""
    assert [int(number) for number in FRAME.findall(received)] == list(range(1, 15))


@pytest.fixture
def occupied(wire: Wire) -> Iterator[Wire]:
    """A thread whose worker is busy for long, so that the next run waits in the queue."""
    run_id = wire.create("stubborn", input=PATIENT)
    wire.until(run_id, "running")
    yield wire
    wire.http.post(f"{wire.path(run_id)}/cancel?wait=1")


def test_while_a_run_is_queued(live: Live, occupied: Wire) -> None:
    """The headers come at once, a heartbeat every five seconds, long before the run's turn comes."""
    body = {"assistant_id": "steps", "input": {}}
    started = time.monotonic()
    with connected(live, "POST", f"/threads/{occupied.thread}/runs/stream", body) as connection:
        status, _ = connection.head()
        assert status == 200
        assert connection.chunk() == HEARTBEAT
        assert 4 < time.monotonic() - started < 5 + ROOM_SECONDS
        assert connection.chunk() == HEARTBEAT
        assert 9 < time.monotonic() - started < 10 + ROOM_SECONDS


def test_wait_while_a_run_is_queued(live: Live, occupied: Wire) -> None:
    """The same for a wait, whose heartbeat is a line feed that JSON readers skip."""
    body = {"assistant_id": "steps", "input": {}}
    started = time.monotonic()
    with connected(live, "POST", f"/threads/{occupied.thread}/runs/wait", body) as connection:
        status, _ = connection.head()
        assert status == 200
        assert connection.chunk() == b"\n"
        assert 4 < time.monotonic() - started < 5 + ROOM_SECONDS


@pytest.mark.parametrize(("assistant", "expected"), [("steps", "success"), ("faulty", "error")])
@by_mount
def test_status_when_it_closes(live: Live, wire: Wire, mount: Mount, assistant: str, expected: str) -> None:
    """When a stream has closed, run and thread already have their final status: SDKs ask for it right then."""
    path = f"{mount.prefix}/threads/{wire.thread}/runs/stream"
    for _ in range(5):
        with connected(
            live, "POST", path, {"assistant_id": assistant, "input": {"kind": "told", "pause": 0.0}}
        ) as connection:
            connection.head()
            connection.body()
            assert wire.http.get(f"/threads/{wire.thread}/runs?limit=1").json()[0]["status"] == expected
            status = wire.http.get(f"/threads/{wire.thread}").json()["status"]
            assert status == {"success": "idle", "error": "error"}[expected]


def test_connection_is_used_again(wire: Wire) -> None:
    """A client may ask the next thing on the connection that a stream has used."""
    for _ in range(3):
        body = {"assistant_id": "steps", "input": {"pause": 0.0}}
        with wire.http.stream("POST", f"/threads/{wire.thread}/runs/stream", json=body) as answer:
            assert answer.read().count(b"event: values") == 5
        assert wire.http.get(f"/threads/{wire.thread}").json()["status"] == "idle"
