"""Where the browser's page comes from: a small server that can also pass everything else on to another one.

Bytes are passed on as they come, so that streams stay streams and a closed connection is closed at the other end.
"""

import mimetypes
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "/conformance/"


class Site:
    """A site while it is served."""

    def __init__(self, listening: socket.socket, folder: Path | None, to: int | None) -> None:
        self.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._listening, self._folder, self._to = listening, folder, to
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """Cut all connections, as a network does that breaks."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        """Answer whoever connects until nobody listens any more."""
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with connection, suppress(OSError):
            _answer(connection, self._folder, self._to)
        self._open.discard(connection)


@contextmanager
def site(folder: Path | None, to: int | None = None) -> Iterator[Site]:
    """Serve a folder below ``PREFIX``, and with *to* whatever that port serves, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        served = Site(listening, folder, to)
        threading.Thread(target=served.accept, daemon=True).start()
        yield served
        listening.shutdown(socket.SHUT_RDWR)
        served.cut()


def _answer(connection: socket.socket, folder: Path | None, to: int | None) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        if not (read := connection.recv(65536)):
            return
        request += read
    path = request.split(b" ", 2)[1].decode().partition("?")[0]
    if folder is not None and path.startswith(PREFIX):
        _serve(connection, folder / path.removeprefix(PREFIX))
    elif to is not None:
        _pass_on(connection, request, to)


def _serve(connection: socket.socket, file: Path) -> None:
    content = file.read_bytes() if file.is_file() else b""
    kind = mimetypes.guess_type(file.name)[0] or "text/plain"
    head = f"HTTP/1.1 {'200 OK' if content else '404 Not Found'}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)


def _pass_on(connection: socket.socket, request: bytes, to: int) -> None:
    """One request a connection: the server is told so, and its end is the answer's end."""
    head, _, body = request.partition(b"\r\n\r\n")
    if b"\r\nupgrade:" not in head.lower():
        head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close"
    with socket.create_connection(("127.0.0.1", to)) as server:
        server.sendall(head + b"\r\n\r\n" + body)
        threading.Thread(target=_pump, args=(connection, server), daemon=True).start()
        _pump(server, connection)


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until one of the two is gone; then both are."""
    with suppress(OSError):
        while read := source.recv(65536):
            target.sendall(read)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
