"""Answers that last: SSE frames, JSON that waits, their headers and heartbeats.

An answer that this process cannot bring to its end, because it is told to stop or because its caller may read no
more, is cut: it lacks its last chunk.
Every client takes that for a lost connection and asks again where ``Location`` says; an orderly end would mean that
the run is over (ADR 0012).
"""

import errno
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NoReturn
from urllib.parse import quote

import orjson
from flask import Request, Response, request

from deerflow.api.hub import ClientWatch
from deerflow.api.mounts import Mount
from deerflow.domain.classic import classic
from deerflow.domain.events import Entry, parse_cursor
from deerflow.domain.protocol import ProtocolEvent, Subscription, Telling
from deerflow.domain.runs import Followed
from deerflow.domain.turns import Turn
from deerflow.runtime.attend import Attending, Over, Said
from deerflow.runtime.join import Following, Gap
from deerflow.runtime.listening import Heartbeat

_HEARTBEAT = b": heartbeat\r\n\r\n"
_ALWAYS = {"metadata", "error"}
_STORED_AS = {"messages-tuple": "messages"}
_RETRY_MS = (200, 1_200)
"""Spread, so that the clients of a stopped process do not all come back at once."""


def cursor(source: Request) -> int | None:
    """Where this client wants to read from: its ``Last-Event-ID``; None is from now on."""
    return parse_cursor(source.headers.get("Last-Event-ID"))


def stream(
    mount: Mount, run: Followed, following: Following, watch: ClientWatch, *, modes: Iterable[str] = ()
) -> Response:
    """A run as SSE. *modes*: only these stream modes (none: all); the run's own story is always told."""
    watch.when_gone(following.interrupt)
    wanted = {_STORED_AS.get(mode, mode) for mode in modes}
    response = _events(mount, _frames(following, wanted | _ALWAYS if wanted else None))
    _name(response, mount, run, f"{_path(run)}/stream")
    return response


def thread(mount: Mount, attending: Attending, frames: Iterator[bytes], watch: ClientWatch) -> Response:
    """A thread as SSE; *frames* are what is told of it."""
    watch.when_gone(attending.interrupt)
    return _events(mount, frames)


def _events(mount: Mount, frames: Iterator[bytes]) -> Response:
    response = Response(frames, content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = mount.cache_control
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Connection"] = "keep-alive"
    return response


def wait(
    mount: Mount, run: Followed, following: Following, answer: Callable[[], bytes], watch: ClientWatch
) -> Response:
    """JSON that comes when the run is over; until then a line feed at every heartbeat, which JSON readers skip."""
    watch.when_gone(following.interrupt)

    def chunks() -> Iterator[bytes]:
        yield b""  # the headers, now
        for _ in following.heartbeats():
            yield b"\n"
        if not following.ended:
            _cut()
        yield answer()

    response = Response(chunks(), content_type="application/json")
    response.headers["Cache-Control"] = mount.cache_control
    response.headers["X-Accel-Buffering"] = "no"
    _name(response, mount, run, f"{_path(run)}/join{mount.join_query}")
    return response


def name_run(response: Response, mount: Mount, run: Followed) -> Response:
    """Say which run an answer is about; SDKs learn a run's id from nowhere else."""
    response.headers["Content-Location"] = quote(request.script_root) + mount.prefix + _path(run)
    return response


def name_stateless(response: Response, mount: Mount, run: Followed) -> Response:
    """The same for a run whose thread is nobody's business; a stream can be taken up again by its run alone."""
    response.headers["Content-Location"] = f"{quote(request.script_root)}{mount.prefix}/runs/{run.run_id}"
    if "Location" in response.headers:
        response.headers["Location"] = f"/runs/{run.run_id}/stream"
    return response


def _name(response: Response, mount: Mount, run: Followed, location: str) -> None:
    # Location without the mount's prefix: clients append it to the base URL they were given, prefix included.
    response.autocorrect_location_header = False
    response.headers["Location"] = location
    name_run(response, mount, run)


def _path(run: Followed) -> str:
    return f"/threads/{run.thread_id}/runs/{run.run_id}"


def _frames(following: Following, wanted: set[str] | None) -> Iterator[bytes]:
    yield b""  # the headers, now: the run may wait in a queue for long
    for step in following:
        if isinstance(step, Heartbeat):
            yield _HEARTBEAT
        elif isinstance(step, Gap):
            yield b"event: gap\r\ndata: %s\r\nid: %d\r\n\r\n" % (orjson.dumps({"upto": step.upto}), step.upto)
        else:
            told = [entry for entry in map(classic, step) if entry is not None]
            yield b"".join(_frame(entry) for entry in told if wanted is None or entry.name.partition("|")[0] in wanted)
    if not following.ended:
        yield _come_back(following.cursor, soon=not following.refused)
        _cut()


def protocol_frames(attending: Attending, wanted: Subscription) -> Iterator[bytes]:
    """What a thread's runs say, as events of the v2 protocol. It has no end: a cut asks its reader to come back."""
    yield b""  # the headers, now
    telling = Telling()
    for step in attending:
        if isinstance(step, Heartbeat):
            yield _HEARTBEAT
        elif told := [_protocol_frame(event) for event in protocol_events(telling, step, wanted)]:
            yield b"".join(told)
    yield _come_back(None, soon=not attending.refused)
    _cut()


def thread_frames(attending: Attending, *, whole: bool) -> Iterator[bytes]:
    """What a thread's runs say, as each of them says it, and their ends. *whole*: not only that they begin and end."""
    yield b""  # the headers, now
    for step in attending:
        if isinstance(step, Heartbeat):
            yield _HEARTBEAT
        elif isinstance(step, Over):
            yield _run_done(step)
        elif told := [entry for entry in map(classic, step.entries) if entry and (whole or entry.name == "metadata")]:
            yield b"".join(_thread_frame(step.turn, entry) for entry in told)
    yield _come_back(attending.spot, soon=not attending.refused)
    _cut()


def _thread_frame(turn: Turn, entry: Entry) -> bytes:
    return entry.frame + b"id: %d-%d\r\n\r\n" % (turn.ordinal, entry.place)


def _run_done(over: Over) -> bytes:
    told = orjson.dumps({"status": "run_done", "run_id": over.turn.run_id})
    return b"event: metadata\r\ndata: %s\r\nid: %d-%d\r\n\r\n" % (told, over.turn.ordinal, over.place)


def protocol_events(telling: Telling, step: Said | Over, wanted: Subscription) -> Iterator[ProtocolEvent]:
    """What a step of a thread's reader is to who wants these events."""
    if isinstance(step, Over):
        told = iter([telling.over(step.turn, step.place, is_paused=step.is_paused)])
    else:
        told = chain.from_iterable(telling.said(step.turn, entry, wanted) for entry in step.entries)
    return (event for event in told if wanted.takes(event))


def _protocol_frame(event: ProtocolEvent) -> bytes:
    return b"event: %s\r\ndata: %s\r\nid: %d\r\n\r\n" % (event.method.encode(), event.envelope(), event.seq)


def _come_back(cursor: object, *, soon: bool) -> bytes:
    """The last lines of a stream that is cut. Without the id who has heard nothing yet would miss the beginning."""
    place = b"" if cursor is None else b"id: %s\r\n" % str(cursor).encode()
    return place + (b"retry: %d\r\n" % random.randint(*_RETRY_MS) if soon else b"") + b"\r\n"


def _cut() -> NoReturn:
    """End an answer without its end; of this error servers make no fuss, it is that of a client who hangs up."""
    raise ConnectionResetError(
        errno.ECONNRESET, "The answer is cut: its client has gone or may not read it any more, or this process stops"
    )


def _frame(entry: Entry) -> bytes:
    return entry.frame + b"id: %d\r\n\r\n" % entry.place
