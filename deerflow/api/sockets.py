"""One WebSocket, on simple-websocket: what it leaves to its users is done here.

It writes with ``send``, which may write a part only, and lets whoever writes at the same time come in between. It takes
compression, which keeps some hundred kilobytes a connection. And it has no answer for who asks in the wrong way.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from flask import Request, Response
from simple_websocket import ConnectionClosed, Server
from wsproto.utilities import ProtocolError

from deerflow.errors import BadRequest

FORBIDDEN, FAILED, RESTARTING, TOO_MUCH = 4403, 1011, 1012, 1008
"""Why a socket is closed. 4000 and a status of HTTP: clients do not come back."""

_PING_SECONDS = 25.0
_MOST_WAITING = 100
"""Messages that were received and not yet looked at."""
_MOST_LARGE = 2
"""How many of the largest they may be together."""
_CLOSE_SECONDS = 1.0
_SERVERS = ("gunicorn.socket", "werkzeug.socket")


def require_handshake(asked: Request) -> None:
    """Raise BadRequest for what does not ask for a WebSocket, or where there can be none."""
    if asked.headers.get("Upgrade", "").lower() != "websocket" or not any(name in asked.environ for name in _SERVERS):
        raise BadRequest("This is a WebSocket; over plain HTTP, POST here what you want to hear")


class Closed(Exception):
    """The socket is closed, by whichever side."""


class Socket:
    """An open WebSocket; may be written to from any thread."""

    def __init__(self, asked: Request, *, most_bytes: int) -> None:
        """Answer a request's handshake; BadRequest when it is a wrong one. *most_bytes*: of one message."""
        environ = {name: value for name, value in asked.environ.items() if name != "HTTP_SEC_WEBSOCKET_EXTENSIONS"}
        server = next(name for name in _SERVERS if name in environ)
        self._raw, self._most_bytes = environ[server], most_bytes
        self._wire = environ[server] = _Wire(self._raw)
        try:
            self._server = Server(environ, ping_interval=_PING_SECONDS, max_message_size=most_bytes)
        except ProtocolError as error:
            raise BadRequest(f"This is no WebSocket handshake of version 13: {error}") from error
        self._wire.may_read = self._may_read

    def receive(self, seconds: float) -> str | bytes | None:
        """The next message; None when none has come within that time."""
        try:
            message: str | bytes | None = self._server.receive(timeout=seconds)
        except ConnectionClosed:
            raise Closed from None
        return message

    @property
    def is_flooded(self) -> bool:
        """Whether its client says more than anybody can look at."""
        waiting = self._server.input_buffer
        return len(waiting) > _MOST_WAITING or sum(map(len, waiting)) > _MOST_LARGE * self._most_bytes

    def _may_read(self) -> bool:
        """Whether there is room for more; nobody may be looking just now, so it is closed here if there is none."""
        if self.is_flooded:
            self.close(TOO_MUCH, "Too many messages at once")
            return False
        return True

    def send(self, message: bytes) -> None:
        """Send one message of text; waits for a client that reads slowly."""
        try:
            self._server.send(message.decode())
        except (ConnectionClosed, ProtocolError, OSError):
            raise Closed from None

    def close(self, code: int, why: str) -> None:
        """Close it, also when its client reads nothing any more."""
        if not self._wire.is_free(_CLOSE_SECONDS):
            with suppress(OSError):
                self._raw.shutdown(socket.SHUT_RDWR)
            return
        with suppress(ConnectionClosed, ProtocolError, OSError):
            self._server.close(code, why)

    def finish(self) -> None:
        """Let the client say good-bye, for a moment."""
        self._server.thread.join(_CLOSE_SECONDS)
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)


class _Wire:
    """A connection that writes one whole thing after the other, and reads as long as there is room."""

    def __init__(self, raw: Any) -> None:
        self._raw, self._lock = raw, threading.Lock()
        self.close, self.fileno = raw.close, raw.fileno
        self.may_read: Callable[[], bool] = lambda: True

    def recv(self, most: int) -> bytes:
        """What has come; nothing, as at its end, when there is no room for it."""
        return bytes(self._raw.recv(most)) if self.may_read() else b""

    def send(self, data: bytes) -> None:
        """Write all of it."""
        with self._lock:
            self._raw.sendall(data)

    def is_free(self, seconds: float) -> bool:
        """Whether nobody is stuck in writing."""
        free = self._lock.acquire(timeout=seconds)
        if free:
            self._lock.release()
        return free


class Hijacked(Response):
    """The answer of a request whose connection was a WebSocket: nothing more may be written."""

    def __call__(self, environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        """Tell the server so, in its own way."""
        if "gunicorn.socket" in environ:
            raise StopIteration
        raise ConnectionError
