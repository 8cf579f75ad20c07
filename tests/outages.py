"""Take the database away from a live server for a while, and give it back."""

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"


class SocketProxy:
    """Stands before Postgres's socket; all that goes through it can be cut, and nobody let in for a while."""

    def __init__(self, database_url: str, folder: Path) -> None:
        upstream = parse_qs(urlsplit(database_url).query)["host"][0]
        self.database_url = database_url.replace(upstream, str(folder))
        self._upstream, self._path = Path(upstream, _SOCKET), folder / _SOCKET
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.let_in()

    def let_in(self) -> None:
        """Take connections, from now on."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End every connection; new ones come in."""
        for one in list(self._open):
            _end(one)
        self._open.clear()

    def shut_out(self) -> None:
        """End every connection and take no more."""
        if self._listener is not None:
            self._path.unlink()
            _end(self._listener)
        self._listener = None
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._upstream))
                self._open |= {client, server}
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    _end(one)
    _end(other)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def outage(data: Path, proxy: SocketProxy | None, *, seconds: float) -> Iterator[None]:
    """The database does not answer from now on, and not before *seconds* are over; the block runs meanwhile.

    SQLite's way of being away is a lock that somebody holds on its files.
    """
    ends_at = time.monotonic() + seconds
    with ExitStack() as stack:
        if proxy is None:
            for name in ("deerflow.db", "deerflow-checkpoints.db"):
                lock = stack.enter_context(closing(sqlite3.connect(data / name, isolation_level=None, timeout=10)))
                lock.execute("BEGIN IMMEDIATE")
                stack.callback(lock.execute, "ROLLBACK")
        else:
            proxy.shut_out()
            stack.callback(proxy.let_in)
        yield
        while (left := ends_at - time.monotonic()) > 0:
            threading.Event().wait(left)
