"""A receiver of webhooks: a real HTTP server on the loopback that notes what it gets and answers as it is told."""

import json
import ssl
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.conftest import wait_for

HANG = 0
"""Instead of a status: say nothing until ``release`` is set."""


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """``answers`` are used up one by one; after them everything is answered with 200."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.got: list[Got] = []
        self.answers: deque[int | tuple[int, dict[str, str]]] = deque()
        self.release = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def wait(self, count: int = 1, *, seconds: float = 60.0) -> list[Got]:
        """Wait for that many requests."""
        wait_for(lambda: len(self.got) >= count, seconds=seconds, what=f"{count} webhooks, got {len(self.got)}")
        return list(self.got)

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = receiver.answers.popleft() if receiver.answers else 200
                receiver.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if answer == HANG:
                    receiver.release.wait(60)
                    answer = 200
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                except OSError:
                    """The sender has gone."""

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
