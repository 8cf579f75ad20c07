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


@contextmanager
def site(folder: Path, to: int | None = None) -> Iterator[str]:
    """Serve a folder below ``PREFIX``, and with *to* whatever that port serves, until the block ends; its origin."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, folder, to), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, folder: Path, to: int | None) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_answer, args=(connection, folder, to), daemon=True).start()


def _answer(connection: socket.socket, folder: Path, to: int | None) -> None:
    with connection, suppress(OSError):
        request = b""
        while b"\r\n\r\n" not in request:
            if not (read := connection.recv(65536)):
                return
            request += read
        path = request.split(b" ", 2)[1].decode().partition("?")[0]
        if path.startswith(PREFIX):
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
