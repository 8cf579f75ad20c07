"""``flask serve``: everything in one command, for one machine.

Starts an embedded Valkey unless REDIS_URL is set, migrates, then runs the processes of the Procfile. A process
that dies is started again. Ctrl-C or SIGTERM stops what was started here, and nothing else.
"""

import fcntl
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import click
from redis.exceptions import RedisError

from deerflow import project
from deerflow.backend import open_backend
from deerflow.cli import sentences
from deerflow.cli.db import upgrade
from deerflow.cli.supervisor import Supervisor
from deerflow.errors import ConfigError, DeerflowError
from deerflow.events import embedded
from deerflow.events.connections import connect
from deerflow.events.presence import is_ready
from deerflow.identity import is_loopback
from deerflow.runtime.reap import bury
from deerflow.settings import ROOT, Settings, child_environment

_READY_SECONDS = 60.0
_STOP_SECONDS = 28.0
"""Longer than a worker's drain of 20 s with its clean-up, shorter than 30 s."""
_VALKEY = "valkey"


@click.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; default 8123, or $PORT.")
@click.option("--host", help="Address to listen on; default 127.0.0.1.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The langgraph.json to serve; default: the one in this folder, else a small example.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder for all data; default .deerflow.")
@sentences
def command(port: int | None, host: str | None, config: Path | None, data: Path | None) -> None:
    """Run the whole server: web, worker, state and clock.

    Redis and SQL are embedded unless REDIS_URL and DATABASE_URL are set. Ctrl-C stops everything.
    """
    settings = Settings.from_env(port=port, host=host, config=config, data=data)
    project.load(settings.project_file)
    _refuse_strangers(settings)
    _refuse_taken_port(settings)
    with _locked(settings.data) as lock:
        _Serve(settings, lock).run()


class _Serve:
    """One start, from the first process to the last."""

    def __init__(self, settings: Settings, lock: int) -> None:
        self._settings = settings
        self._supervisor = Supervisor(
            ROOT, child_environment(settings), lock, say=_say, mourn=self._free_runs_of
        )
        self._stopping = False

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._told_to_stop)
        try:
            self._start()
            while not self._stopping:
                self._supervisor.look_after()
                time.sleep(0.1)
        finally:
            _say("stopping")
            self._supervisor.stop(_STOP_SECONDS, last=_VALKEY)
            _say("stopped")

    def _told_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start(self) -> None:
        settings = self._settings
        if settings.embedded_redis:
            folder = settings.data / "valkey"
            folder.mkdir(mode=0o700, exist_ok=True)
            settings.redis_socket.parent.mkdir(mode=0o700, exist_ok=True)
            settings.redis_socket.unlink(missing_ok=True)  # the lock is ours, so nobody listens there
            self._supervisor.start(_VALKEY, embedded.command(folder, settings.redis_socket))
        self._wait_for_redis()
        _say("preparing the database")
        upgrade(settings)
        workers = {
            "worker": self._start_worker("worker", "-Q", "runs"),
            "state": self._start_worker("state", "-Q", "state"),
            "clock": self._start_worker("clock", "-Q", "clock", "--beat"),
        }
        self._supervisor.start("web", _web(settings))
        self._wait_for_web()
        self._wait_for_workers(workers)
        if not self._stopping:
            _say(f"serving the graphs of {settings.project_file}, data in {settings.data}")
            _say(f"ready http://{_address(settings)}")

    def _start_worker(self, name: str, *options: str) -> str:
        celery = [
            sys.executable,
            "-m",
            "celery",
            "--quiet",
            "-A",
            "tasks",
            "worker",
            "--without-gossip",
            "--without-mingle",
        ]
        argv = [*celery, "--loglevel", self._settings.log_level, "-n", f"{name}@%h", *options]
        return self._supervisor.start(name, argv, DEERFLOW_GRAPHS_MUST_IMPORT="1")

    def _free_runs_of(self, worker: str) -> None:
        """A process has died: should it have been a worker, its runs need not wait for their leases."""
        backend = open_backend(self._settings, sql_pool=1)
        try:
            bury(backend, worker)
        except DeerflowError as error:
            _say(f"runs of {worker} go on when their leases lapse: {error}")
        finally:
            backend.close()

    def _wait_for_redis(self) -> None:
        client = connect(self._settings.redis)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False

        where = (
            "The embedded Valkey" if self._settings.embedded_redis else f"Redis at {self._settings.redis_url}"
        )
        self._wait(answers, f"{where} does not answer", died=_VALKEY)
        client.close()

    def _wait_for_web(self) -> None:
        url = f"http://{_address(self._settings)}"

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/ok", timeout=1) as answer:  # noqa: S310 - our own address
                    return bool(answer.status == 200)  # noqa: PLR2004
            except (urllib.error.URLError, OSError):
                return False

        self._wait(answers, "The web process does not answer; what it said stands above", died="web")

    def _wait_for_workers(self, workers: dict[str, str]) -> None:
        client = connect(self._settings.redis)
        for name, worker in workers.items():
            failure = f"The {name} process did not start; what it said stands above"
            self._wait(partial(is_ready, client, worker), failure, died=name)
        client.close()

    def _wait(self, answers: Callable[[], bool], failure: str, *, died: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self._stopping and not answers():
            if time.monotonic() > deadline or self._supervisor.has_died(died):
                raise DeerflowError(failure)
            time.sleep(0.05)


def _web(settings: Settings) -> list[str]:
    options = {
        "--worker-class": "gevent",
        "--worker-connections": "5000",
        "--graceful-timeout": "5",
        "--bind": _address(settings),
        "--log-level": "warning",
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "gunicorn", "--no-control-socket", *words, "wsgi:application"]


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def _refuse_strangers(settings: Settings) -> None:
    if settings.auth == "none" and not is_loopback(settings.host):
        raise ConfigError(
            f"Without authentication the server listens on this machine only, not on {settings.host}: leave out --host."
        )


def _refuse_taken_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on {_address(settings)}: {error.strerror}. Choose another with --port."
            ) from error


@contextmanager
def _locked(data: Path) -> Iterator[int]:
    """Hold the data folder; our children inherit the descriptor, so that an orphan still counts as its user."""
    data.mkdir(parents=True, mode=0o700, exist_ok=True)
    descriptor = os.open(data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"Another server uses the data folder {data}. Stop it, or choose another with --data."
            ) from error
        yield descriptor
    finally:
        os.close(descriptor)


def _say(text: str) -> None:
    click.echo(f"deerflow: {text}")
