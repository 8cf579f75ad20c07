"""A small HTTP/1.1 client on a plain socket: next to it, what is measured is the server."""

import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 120.0
_IDLE_SECONDS = 1.0  # gunicorn closes a connection that was idle for two


class Connection:
    """One kept-alive connection; one request at a time. *headers* go with each."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._headers = headers or {}
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._socket: socket.socket | None = None
        self._left = b""
        self._used_at = 0.0

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a whole answer; RuntimeError unless its status is 2xx."""
        answer = b"".join(self.stream(method, path, body))
        return json.loads(answer) if answer.strip() else None

    def stream(self, method: str, path: str, body: Any = None) -> Iterator[bytes]:
        """The body of an answer as it comes. Read it to its end before the next request."""
        self._send(request_bytes(method, path, body, self._headers))
        head = self._until(b"\r\n\r\n").lower()
        pieces = self._chunks() if b"transfer-encoding: chunked" in head else self._whole(head)
        if head[9:10] != b"2":
            raise RuntimeError(f"{method} {path}: {head[9:12].decode()} {b''.join(pieces).decode()}")
        yield from pieces
        self._used_at = time.monotonic()

    def status(self, method: str, path: str, body: Any = None) -> int:
        """The status of an answer, whatever it is."""
        try:
            self.call(method, path, body)
        except RuntimeError as error:
            return int(re.findall(r": (\d{3}) ", str(error))[0])
        return 200

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._left = None, b""

    def _send(self, data: bytes) -> None:
        if time.monotonic() - self._used_at > _IDLE_SECONDS:
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=_TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used_at = 0.0  # until the answer was read to its end
        self._socket.sendall(data)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size + 2)[:-2]
        self._until(b"\r\n")

    def _whole(self, head: bytes) -> Iterator[bytes]:
        _, found, rest = head.partition(b"content-length:")
        if found:
            yield self._exactly(int(rest.split(b"\r\n", 1)[0]))

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._left:
            self._receive()
        found, _, self._left = self._left.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._left) < size:
            self._receive()
        found, self._left = self._left[:size], self._left[size:]
        return found

    def _receive(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("The server closed the connection in the middle of an answer")
        self._left += data


def request_bytes(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    """A request as it goes over the wire."""
    data = b"" if body is None else json.dumps(body).encode()
    told = {"Host": "127.0.0.1", "Content-Length": len(data), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + data
