"""The server that is measured: where it is, which processes it is made of, how much they use."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from deerflow.settings import DATABASE_NAMES, Settings
from tests.live import Live

HERE = Path(__file__).resolve().parent
_SUPERVISORS = ("deerflow.cli", "flask", "honcho")
_RENEWAL_SECONDS = 30.0
_SLOTS = 256
"""Runs at once in a server of our own: the 200 sleeping ones are not to wait for each other."""


class Target:
    """A server on this machine that serves bench/langgraph.json. *headers*: what its callers send."""

    def __init__(self, name: str, url: str, headers: dict[str, str] | None = None) -> None:
        self.name, self.url, self.headers = name, url.rstrip("/"), headers or {}
        self._root = _root(urlsplit(url).port or 80)

    def processes(self, kind: str = "") -> list[psutil.Process]:
        """Its processes now; *kind*: only those that ``kind_of`` calls so."""
        found = [self._root, *self._root.children(recursive=True)]
        return [process for process in found if kind in {"", kind_of(process)}]

    def cpu_seconds(self, kind: str = "") -> float:
        """Processor time that its processes have used so far."""
        times = [process.cpu_times() for process in self.processes(kind)]
        return float(sum(t.user + t.system for t in times))

    def uss(self, kind: str) -> int:
        """Bytes that are these processes' own."""
        return sum(process.memory_full_info().uss for process in self.processes(kind))

    def renew_web(self) -> None:
        """Let gunicorn replace its workers: memory left behind by earlier streams would hide what new ones need."""
        old = {process.pid for process in self.processes("web")}
        self.processes("web master")[0].send_signal(signal.SIGHUP)
        deadline = time.monotonic() + _RENEWAL_SECONDS
        while not (new := self.processes("web")) or old & {process.pid for process in new}:
            if time.monotonic() > deadline:
                raise RuntimeError("gunicorn did not replace its workers")
            time.sleep(0.05)

    def environment(self, kind: str = "web") -> dict[str, str]:
        """The environment of a process of that kind."""
        return dict(self.processes(kind)[0].environ())

    def settings(self) -> Settings:
        """The settings that its processes run with."""
        environment = self.environment()
        names = ("data", "redis_url", "worker_runs", "webhook_allow_http", "webhook_allow_loopback")
        facts = {name: environment.get(f"DEERFLOW_{name.upper()}") for name in names}
        facts["database_url"] = next((environment[name] for name in DATABASE_NAMES if environment.get(name)), None)
        facts["redis_url"] = facts["redis_url"] or environment.get("REDIS_URL") or environment.get("REDIS_URI")
        return Settings(**{name: value for name, value in facts.items() if value})  # type: ignore[arg-type]

    def slots(self) -> int:
        """Runs that its workers execute at once."""
        return self.settings().worker_runs * len(self.processes("worker"))


@contextmanager
def own_server(auth: str = "none", *, database_url: str = "", **environment: str) -> Iterator[Target]:
    """A server of our own, on a free port and with a data folder that goes with it."""
    product = {
        "DEERFLOW_LEASE_SECONDS": "15",
        "DEERFLOW_LEASE_BEAT_SECONDS": "5",
        "DEERFLOW_REAP_SECONDS": "5",
        "DEERFLOW_LOG_LEVEL": "INFO",
        "DEERFLOW_WORKER_RUNS": str(_SLOTS),
    }
    with tempfile.TemporaryDirectory(prefix="deerflow-bench-") as folder:
        asked = {**product, **environment}  # what is named beside it cannot come out of it
        live = Live(Path(folder), HERE / "langgraph.json", database_url=database_url, auth=auth, options=None, **asked)
        live.start()
        try:
            yield Target("own", live.url, live.headers)
        finally:
            live.stop()


def kind_of(process: psutil.Process) -> str:
    """What a process of the server is for."""
    try:
        words = " ".join(process.cmdline())
        if "gunicorn" in words:
            parent = process.parent()
            return "web" if parent is not None and "gunicorn" in " ".join(parent.cmdline()) else "web master"
    except psutil.Error:
        return "gone"
    marks = {
        "-Q runs": "worker",
        "-Q state": "state",
        "-Q clock": "clock",
        "valkey-server": "valkey",
        "redis-server": "valkey",
    }
    return next((kind for mark, kind in marks.items() if mark in words), "supervisor")


def _root(port: int) -> psutil.Process:
    """The supervisor above whoever listens on *port*; the listener itself when nothing we know stands above it."""
    listeners = [
        c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port and c.pid
    ]
    if not listeners:
        raise SystemExit(f"bench: nothing listens on port {port}; start ./serve.sh --config bench/langgraph.json")
    line = [psutil.Process(min(listeners)), *psutil.Process(min(listeners)).parents()]
    ours = [p for p in line if p.pid != os.getpid() and any(mark in " ".join(p.cmdline()[:4]) for mark in _SUPERVISORS)]
    masters = [p for p in line if "gunicorn" in " ".join(p.cmdline())]
    return (ours or masters[-1:] or line)[0]
