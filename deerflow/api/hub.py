"""The other gevent import: notice when a client has gone, and when this process is told to stop; compute aside.

Works without gevent too, by noticing nothing and computing at once.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from werkzeug.wsgi import ClosingIterator

from deerflow.errors import Unavailable

try:
    import gevent
    import gevent.monkey
    import gevent.threadpool
except ImportError:  # an installation without the web's packages
    gevent = None

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

_A_WHILE = 2.0
"""Seconds within which most clients send their next request over a connection, if they do."""
_NICENESS = 19
"""Streams go before passwords where there is not enough of the processor for both."""


class Aside:
    """Computes in real threads what would hold up the hub: few at a time, and only so many wait for their turn.

    For functions that give up Python's lock while they compute, as argon2's do.
    """

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._at_once, self._most = at_once, at_once + waiting
        self._asked = 0
        self._pool: Any = None

    def __call__(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What *act* returns; Unavailable when too many wait already."""
        if gevent is None or not gevent.monkey.is_module_patched("threading"):
            return act(*args, **kwargs)  # this is a real thread already
        if self._asked >= self._most:
            raise Unavailable("Too many sign-ins at once; try again in a moment", retry_after=2)
        self._pool = self._pool or gevent.threadpool.ThreadPool(self._at_once)
        self._asked += 1
        try:
            result, error = self._pool.apply(_computed, (lambda: act(*args, **kwargs),))
        finally:
            self._asked -= 1
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


def spare_cores() -> int:
    """How many cores one may compute on and leave one to the hub; at least one."""
    mine = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, mine - 1)


def _computed(act: Callable[[], R]) -> tuple[R | None, Exception | None]:
    """What an act returns or raises; gevent would print what it raises."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # of this thread alone, there
    try:
        return act(), None
    except Exception as error:  # noqa: BLE001 - raised again where it was asked for
        return None, error


class ClientWatch:
    """Watches the socket of one request, from the moment the request (its body too) was read until ``stop``.

    The socket becomes readable when the client closes it or sends more. Peeking tells the two apart. Only this
    verdict means that the client has gone: a response's generator is also closed by a deploy, and one that never
    started runs no ``finally`` at all. A write may meet the end before the hub has told of it, and ends the response;
    so ``stop`` looks once more.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self.gone = False
        self._actions: list[Callable[[], None]] = []
        self._socket: socket.socket | None = environ.get("gunicorn.socket")
        self._watcher: Any = None
        if self._socket is not None and gevent is not None:
            self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), 1)
            self._watcher.start(self._look)

    def when_gone(self, action: Callable[[], None]) -> None:
        """Do this, once and in a greenlet of its own, when the client goes; at once if it has gone already."""
        if self.gone:
            _spawn(action)
        else:
            self._actions.append(action)

    def stop(self) -> None:
        """The response is over: look no more."""
        self._look()
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._actions.clear()

    def _look(self) -> None:
        # Called by the hub itself, too: must not block, so it peeks and leaves the rest to greenlets.
        if self._watcher is None or self._socket is None or self.gone:
            return
        try:
            self.gone = _is_closed(self._socket)
        except BlockingIOError:  # neither: what the hub was told may have been of before
            return
        self._watcher.stop()  # what was sent is a further request on the same connection; it waits for us
        if self.gone:
            actions, self._actions = self._actions, []
            for action in actions:
                _spawn(action)


class Resting:
    """Knows the connections that wait for a further request, so that a process that stops waits for none for long."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._stopping = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer; until that is over the connection does not rest."""
        used = environ.get("gunicorn.socket")
        if used is None:
            return self._app(environ, start_response)
        self._since.pop(used, None)
        return ClosingIterator(self._app(environ, start_response), partial(self._rest, used))

    def end(self) -> None:
        """Close those that have rested for a while, and the others when they have: who used one of them just now may
        have sent something again, which would be lost. Such a request is answered, and is the last one.
        """
        self._stopping = True
        for used in list(self._since):
            self._close_in_time(used)

    def _rest(self, used: Any) -> None:
        self._since[used] = time.monotonic()
        if self._stopping:
            self._close_in_time(used)

    def _close_in_time(self, used: Any) -> None:
        since = self._since[used]
        gevent.spawn_later(max(0.0, since + _A_WHILE - time.monotonic()), self._close, used, since)

    def _close(self, used: Any, since: float) -> None:
        if self._since.get(used) == since:
            with suppress(OSError):  # the client has left
                used.shutdown(socket.SHUT_RD)


def when_told_to_stop(action: Callable[[], None]) -> None:
    """Do this in a greenlet of its own at SIGTERM, after what the server does then.

    A server that has no handler of its own (or none of Python's) is ended by the signal at once; so it stays.
    """
    before = signal.getsignal(signal.SIGTERM)
    if gevent is None or not callable(before):
        return
    loop = gevent.get_hub().loop

    def told(number: int, frame: FrameType | None) -> None:
        before(number, frame)
        # Whatever runs now may hold locks that the action needs: the hub starts it when that has gone on.
        loop.run_callback_threadsafe(_spawn, action)

    signal.signal(signal.SIGTERM, told)
    signal.siginterrupt(signal.SIGTERM, False)  # as gunicorn wants it; the line above has undone that


def _is_closed(sock: socket.socket) -> bool:
    """Whether the other side has closed this, rather than sent something; BlockingIOError when it has done neither."""
    try:
        return bool(_plain(sock).recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
    except BlockingIOError:
        raise
    except OSError:
        return True


def _plain(sock: Any) -> Any:
    """The real socket below gevent's, whose ``recv`` would switch to the hub that we are in."""
    return getattr(sock, "_sock", sock)


def _spawn(action: Callable[[], None]) -> None:
    gevent.spawn(_guarded, action)


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:  # nobody is there to hear it but the log
        log.exception("What a client's leaving should have done failed")
