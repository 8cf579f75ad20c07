"""A live server: the processes that ``serve`` starts, on a free port and a data folder of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from deerflow.domain.accounts import FIRST_ADMIN
from deerflow.domain.principal import LOCAL

ROOT = Path(__file__).resolve().parent.parent

ADMIN = ("admin@example.com", "a-password-of-the-tests")
"""E-mail and password of the administrator that a server with accounts has from its first start."""
_SECRET = "a-secret-of-the-tests-and-of-nobody-else"


class Live:
    """One ``serve``, started and stopped as a user does."""

    def __init__(
        self,
        folder: Path,
        config: Path,
        *,
        database_url: str = "",
        auth: str = "none",
        options: list[str] | None = None,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self.database_url = database_url
        """Empty: SQLite files in the data folder."""
        self._config, self._auth = config, auth
        self._options = options or []
        self._environment = {
            "DEERFLOW_LEASE_SECONDS": "3",
            "DEERFLOW_LEASE_BEAT_SECONDS": "1",
            "DEERFLOW_REAP_SECONDS": "1",
            "DEERFLOW_DRAIN_SECONDS": "5",
            "DEERFLOW_WEBHOOK_ALLOW_HTTP": "1",
            "DEERFLOW_WEBHOOK_ALLOW_LOOPBACK": "1",
            "DEERFLOW_WEBHOOK_TIMEOUT_SECONDS": "3",
            "DEERFLOW_AUTH": auth,
            "DEERFLOW_ADMIN_EMAIL": ADMIN[0] if auth == "accounts" else "",
            "DEERFLOW_ADMIN_PASSWORD": ADMIN[1] if auth == "accounts" else "",
            "DEERFLOW_SECRET": _SECRET if database_url else "",
            "DATABASE_URL": database_url,
            "REDIS_URL": "",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, SyncLangGraphClient] = {}
        self._https: dict[str, httpx.Client] = {}

    def start(self) -> None:
        """Start it and wait for its ``ready``; one that does not come is stopped, or it would slow all other tests."""
        try:
            self._start()
        except BaseException:
            self.stop_if_running()
            raise

    def _start(self) -> None:
        command = [sys.executable, "-m", "deerflow.cli", "serve", "--port", str(self.port)]
        command += ["--data", str(self.folder / "data"), "--config", str(self._config), *self._options]
        with self.log.open("ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 100
        while f"ready {self.url}" not in self.log.read_text(errors="replace")[start:]:
            assert self._process.poll() is None, self.log.read_text(errors="replace")[-5000:]
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-5000:]
            time.sleep(0.05)

    @property
    def api_key(self) -> str | None:
        """The administrator's key, which an unattended start leaves in the data folder; None without accounts."""
        return (self.folder / "data" / "api-key").read_text().strip() if self._auth == "accounts" else None

    @property
    def headers(self) -> dict[str, str]:
        """What every request has to carry, however it is made."""
        return {"x-api-key": self.api_key} if self.api_key else {}

    @property
    def user_id(self) -> str:
        """Who owns what clients with these headers make."""
        return str(FIRST_ADMIN) if self._auth == "accounts" else LOCAL

    def extra_worker(self) -> subprocess.Popen[bytes]:
        """One more worker, as a second machine would run it; the test stops it."""
        options = "--quiet -A tasks worker -Q runs -n extra@%h --without-gossip --without-mingle"
        return self._extra("celery", *options.split())

    @contextmanager
    def extra_web(self) -> Iterator[str]:
        """One more web process, as the Procfile runs it, until the end of the block; its URL."""
        url = f"http://127.0.0.1:{free_port()}"
        options = f"-k gevent --graceful-timeout 5 --forwarded-allow-ips= --bind {url.removeprefix('http://')}"
        process = self._extra("gunicorn", "--no-control-socket", *options.split(), "wsgi:application")
        try:
            deadline = time.monotonic() + 60
            while not _answers(url):
                assert process.poll() is None, self.log.read_text(errors="replace")[-5000:]
                assert time.monotonic() < deadline, "the second web process does not answer"
                time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait(20)

    def _extra(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        data = {"DEERFLOW_DATA": str(self.folder / "data"), "DEERFLOW_CONFIG": str(self._config)}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *options],
                cwd=ROOT,
                env={**os.environ, **self._environment, **data, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def command(self, *words: str, stdin: str = "") -> str:
        """What a command of ours prints on standard output, called beside the running server; it has to succeed."""
        data = {"DEERFLOW_DATA": str(self.folder / "data"), "DEERFLOW_CONFIG": str(self._config)}
        ended = subprocess.run(
            [sys.executable, "-m", "deerflow.cli", *words],
            cwd=ROOT,
            env={**os.environ, **self._environment, **data},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def stop(self) -> float:
        """Ctrl-C; the seconds it took."""
        assert self._process is not None
        for client in self._clients.values():
            client.http.client.close()
        for http in self._https.values():
            http.close()
        self._clients, self._https = {}, {}
        started = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        return time.monotonic() - started

    def stop_if_running(self) -> None:
        """For clean-up: stop it unless the test did."""
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def kill_supervisor(self) -> None:
        """kill -9 of serve itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def pids(self, kind: str) -> list[int]:
        """The processes of one kind: worker, state, clock, web or valkey."""
        assert self._process is not None
        marks = {
            "worker": "-Q runs",
            "state": "-Q state",
            "clock": "-Q clock",
            "web": "gunicorn",
            "valkey": "valkey-server",
        }
        children = psutil.Process(self._process.pid).children(recursive=True)
        return [c.pid for c in children if marks[kind] in " ".join(_command(c))]

    def kill(self, kind: str) -> None:
        """kill -9 every process of a kind."""
        for pid in self.pids(kind):
            os.kill(pid, signal.SIGKILL)

    def client(self, prefix: str = "") -> SyncLangGraphClient:
        """The unmodified Python SDK."""
        if prefix not in self._clients:
            self._clients[prefix] = get_sync_client(url=self.url + prefix, api_key=self.api_key)
        return self._clients[prefix]

    def http(self, prefix: str = "") -> httpx.Client:
        """Plain HTTP; one client for all, closed with the server."""
        if prefix not in self._https:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._https[prefix] = httpx.Client(
                base_url=self.url + prefix, headers=self.headers, timeout=30, limits=limits
            )
        return self._https[prefix]

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> socket.socket:
        """A request on a bare socket, sent and not yet read: the caller reads as slowly as it likes."""
        payload = b"" if body is None else json.dumps(body).encode()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(self.head(method, path, Content_Length=str(len(payload)), **headers))
        connection.sendall(payload)  # as HTTP clients do: the body comes in a packet of its own
        return connection

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """The bytes of a request before its body; of header names ``_`` stands for ``-``."""
        told = {"Host": f"127.0.0.1:{self.port}", **self.headers, **headers}
        lines = (f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
        return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


class Elsewhere(Live):
    """A server that somebody else has started; tests that reach for its processes are skipped."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(folder, folder)
        self.url = url

    def start(self) -> None:
        """It runs."""

    def stop(self) -> float:
        """It goes on."""
        return 0.0

    @property
    def api_key(self) -> str | None:
        """As the SDKs find one."""
        return os.environ.get("LANGGRAPH_API_KEY")

    def pids(self, kind: str) -> list[int]:
        """Not ours to know."""
        pytest.skip(f"for want of the server's own {kind}")

    def command(self, *words: str, stdin: str = "") -> str:  # noqa: ARG002 - as it is called
        """Not ours to run."""
        pytest.skip(f"for want of the server's own command {words[0]}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok", timeout=2).is_success
    except httpx.TransportError:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
