"""The other gevent import: notice when a client has gone, and when this process is told to stop.

Works without gevent too, by noticing nothing.
"""

import errno
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

try:
    import gevent
except ImportError:  # an installation without the web's packages
    gevent = None

log = logging.getLogger(__name__)


class ClientWatch:
    """Watches the socket of one request, from the moment the request (its body too) was read until ``stop``.

    The socket becomes readable when the client closes it or sends more. Peeking tells the two apart. Only this
    verdict means that the client has gone: a response's generator is also closed by a deploy, and one that never
    started runs no ``finally`` at all.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        self.gone = False
        self._actions: list[Callable[[], None]] = []
        self._socket: socket.socket | None = environ.get("gunicorn.socket")
        self._watcher: Any = None
        if self._socket is not None and gevent is not None:
            self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), 1)
            self._watcher.start(self._readable)

    def when_gone(self, action: Callable[[], None]) -> None:
        """Do this, once and in a greenlet of its own, when the client goes; at once if it has gone already."""
        if self.gone:
            _spawn(action)
        else:
            self._actions.append(action)

    def stop(self) -> None:
        """The response is over: look no more."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._actions.clear()

    def _readable(self) -> None:
        # Called by the hub itself: must not block, so it peeks and leaves the rest to greenlets.
        if self._watcher is None or self._socket is None:
            return
        if not _closed(self._socket):
            self._watcher.stop()  # a further request on the same connection; it waits for us
            return
        self.gone = True
        self._watcher.stop()
        actions, self._actions = self._actions, []
        for action in actions:
            _spawn(action)


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


def _closed(sock: socket.socket) -> bool:
    try:
        return bool(_plain(sock).recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK)


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
