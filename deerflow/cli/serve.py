"""``flask serve``: everything in one command, for one machine.

Starts an embedded Valkey unless REDIS_URL is set, migrates, then runs the processes of the Procfile. A process
that dies is started again. Ctrl-C or SIGTERM stops what was started here, and nothing else.
"""

import fcntl
import os
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import click
from redis.exceptions import RedisError

from deerflow import logs, project
from deerflow.auth import links
from deerflow.auth.keys import new_key
from deerflow.auth.secret import secrets_in_force
from deerflow.backend import Backend, open_backend
from deerflow.cli import sentences, with_cause
from deerflow.cli.db import upgrade
from deerflow.cli.supervisor import Supervisor
from deerflow.domain.accounts import User, canonical_email
from deerflow.errors import ConfigError, DeerflowError
from deerflow.events import embedded
from deerflow.events.connections import connect
from deerflow.identity import require_safe
from deerflow.runtime.reap import bury
from deerflow.runtime.set_up import keep_key
from deerflow.secret_file import kept
from deerflow.settings import ROOT, Settings, child_environment
from deerflow.storage import users

_EMBEDDED_READY_SECONDS = 60.0
_EXTERNAL_READY_SECONDS = 15.0
_STOP_SECONDS = 28.0
"""Longer than a worker's drain of 18 s with its clean-up, shorter than the 30 s after which platforms kill."""
_VALKEY = "valkey"
_LEAST_FREE_BYTES = 64 << 20
"""Less than this is soon nothing: a log, a checkpoint and a queue need room while they are rewritten."""
_EXAMPLE = """
    from langgraph_sdk import get_sync_client
    client = get_sync_client(url="{url}"{key})
    thread = client.threads.create()
    question = {{"messages": [{{"role": "user", "content": "hello"}}]}}
    for part in client.runs.stream(thread["thread_id"], "{graph}", input=question, stream_mode="messages-tuple"):
        print(part.data)
"""


@click.command("serve")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on; default 8123, or $PORT.")
@click.option("--host", help="Address to listen on; default 127.0.0.1.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The langgraph.json to serve, or its folder; default: the one in this folder, else the example agent.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder for all data; default .deerflow.")
@click.option(
    "--workers",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Processes that execute runs.",
)
@click.option("--reload", is_flag=True, help="Start worker and state again when a file of the project changes.")
@sentences
def command(
    port: int | None, host: str | None, config: Path | None, data: Path | None, workers: int, *, reload: bool
) -> None:
    """Run the whole server: web, worker, state and clock.

    Redis and SQL are embedded unless REDIS_URL and DATABASE_URL are set. Ctrl-C stops everything.

    \b
    Examples:
      ./serve.sh
      ./serve.sh --config ../my-agent/langgraph.json --reload
      DATABASE_URL=postgresql://... REDIS_URL=redis://... ./serve.sh --workers 4
    """  # noqa: D301 - click takes the backspace itself as the word to leave the examples as they are
    settings = Settings.from_env(port=port, host=host, config=config, data=data)
    found = project.load(settings.project_file)
    require_safe(settings, found)
    _refuse_taken_port(settings)
    with _locked(settings.data) as lock:
        _refuse_full_disk(settings.data)
        _Serve(settings, found, lock, workers=workers, reload=reload).run()


class _Serve:
    """One start, from the first process to the last."""

    def __init__(self, settings: Settings, found: project.Project, lock: int, *, workers: int, reload: bool) -> None:
        self._settings, self._project, self._reload = settings, found, reload
        self._workers = ["worker"] if workers == 1 else [f"worker-{n}" for n in range(1, workers + 1)]
        self._supervisor = Supervisor(ROOT, child_environment(settings), lock, say=_say, mourn=self._free_runs_of)
        self._backend: Backend | None = None
        self._stopping = threading.Event()
        self._changed = threading.Event()

    def run(self) -> None:
        logs.setup(self._settings.log_level)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._told_to_stop)
        try:
            self._start()
            while not self._stopping.wait(0.1):
                self._supervisor.look_after()
                if self._changed.is_set():
                    self._changed.clear()
                    _say("the project has changed: worker and state start again")
                    self._supervisor.restart([*self._workers, "state"])
        finally:
            _say("stopping")
            self._supervisor.stop(_STOP_SECONDS, last=_VALKEY)
            if self._backend is not None:
                self._backend.close()
            _say("stopped")

    def _told_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _start(self) -> None:
        settings = self._settings
        if settings.embedded_redis:
            self._start_valkey()
        self._wait_for_redis()
        _say("preparing the database")
        upgrade(settings)
        self._backend = open_backend(settings, sql_pool=1)
        if settings.auth == "accounts" and settings.admin_email and settings.admin_password:
            _keep_key(self._backend, settings)
        names = {name: self._start_worker(name, "-Q", "runs") for name in self._workers}
        names["state"] = self._start_worker("state", "-Q", "state")
        names["clock"] = self._start_worker("clock", "-Q", "clock", "--beat")
        self._supervisor.start("web", _web(settings))
        self._wait_for_web()
        self._wait_for_workers(self._backend, names)
        if not self._stopping.is_set():
            if self._reload:
                threading.Thread(target=self._watch_project, name="reload", daemon=True).start()
            self._introduce()

    def _start_valkey(self) -> None:
        folder, socket_path = self._settings.data / "valkey", self._settings.redis_socket
        folder.mkdir(mode=0o700, exist_ok=True)
        socket_path.parent.mkdir(mode=0o700, exist_ok=True)
        socket_path.unlink(missing_ok=True)  # the lock is ours, so nobody listens there
        self._supervisor.start(_VALKEY, embedded.command(folder, socket_path))

    def _start_worker(self, name: str, *options: str) -> str:
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "tasks", "worker"]
        quiet = ["--without-gossip", "--without-mingle", "--loglevel", self._settings.log_level]
        argv = [*celery, *quiet, "-n", f"{name}@%h", *options]
        return self._supervisor.start(name, argv, DEERFLOW_GRAPHS_MUST_IMPORT="1")

    def _introduce(self) -> None:
        """Say what is there and how to talk to it."""
        settings = self._settings
        url = f"http://{settings.address}{self._project.http.mount_prefix}"
        _say(f"graphs    {', '.join(self._project.graphs)} of {settings.project_file}")
        _say(f"data      {settings.data}" + ("" if settings.embedded_redis else f", Redis at {_place(settings.redis)}"))
        if not settings.database.startswith("sqlite"):
            _say(f"database  Postgres at {_place(settings.database)}")
        _say(f"clients   {url} for LangGraph's SDKs, {url}/api with the gateway's defaults")
        click.echo(_EXAMPLE.format(url=url, graph=next(iter(self._project.graphs)), key=_key_of_example(settings)))
        _say(f"pages     {url}/console/")
        if (waiting := self._waiting()) is not None:
            link = links.set_up_path(secrets_in_force(settings), waiting)
            _say(f"set-up    nobody can use this server before you have opened {url}{link}")
        _say(f"ready http://{settings.address}")

    def _waiting(self) -> User | None:
        """The administrator who has still to be set up."""
        if self._settings.auth != "accounts" or self._backend is None:
            return None
        with self._backend.db.read() as tx:
            return users.find_unfinished(tx)

    def _free_runs_of(self, worker: str) -> None:
        """A process has died: should it have been a worker, its runs need not wait for their leases."""
        if self._backend is None:
            return
        try:
            bury(self._backend, worker)
        except DeerflowError as error:
            _say(f"runs of {worker} go on when their leases lapse: {with_cause(error)}")

    def _watch_project(self) -> None:
        """Notice changes of the project's files; caches, environments and hidden folders do not count."""
        from watchfiles import watch  # only --reload needs it

        for _changes in watch(self._project.folder, stop_event=self._stopping, ignore_permission_denied=True):
            self._changed.set()

    def _wait_for_redis(self) -> None:
        client = connect(self._settings.redis)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False

        if self._settings.embedded_redis:
            log = self._settings.data / "valkey" / "valkey.log"
            self._wait(answers, f"The embedded Valkey does not answer; {log} may say why", died=_VALKEY)
        else:
            where = _place(self._settings.redis)
            self._wait(
                answers,
                f"Redis at {where} does not answer; is REDIS_URL right?",
                seconds=_EXTERNAL_READY_SECONDS,
            )
        client.close()

    def _wait_for_web(self) -> None:
        url = f"http://{self._settings.address}/ok"

        def answers() -> bool:
            try:
                with urllib.request.urlopen(url, timeout=1) as answer:
                    return bool(answer.status == 200)  # noqa: PLR2004
            except (urllib.error.URLError, OSError):
                return False

        self._wait(answers, "The web process did not start; what it said stands above", died="web")

    def _wait_for_workers(self, backend: Backend, names: dict[str, str]) -> None:
        for name, worker in names.items():
            self._wait(
                lambda worker=worker: any(seen.name == worker for seen in backend.presence.alive()),  # type: ignore[misc]
                f"The {name} process did not start; what it said stands above",
                died=name,
            )

    def _wait(
        self,
        answers: Callable[[], bool],
        failure: str,
        *,
        died: str = "",
        seconds: float = _EMBEDDED_READY_SECONDS,
    ) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping.is_set() and not answers():
            if time.monotonic() > deadline or self._supervisor.has_died(died):
                raise DeerflowError(failure)
            time.sleep(0.05)


def _web(settings: Settings) -> list[str]:
    options = {
        "--worker-class": "gevent",
        "--worker-connections": "5000",
        "--graceful-timeout": "5",
        # Longer than clients and proxies use a connection again (Node's fetch 4 s, nginx 60 s): what they send over one
        # that closes meanwhile is lost.
        "--keep-alive": "75",
        "--bind": settings.address,
        "--log-level": "warning",
        "--forwarded-allow-ips": "",  # identity decides whom to believe
    }
    words = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "gunicorn", "--no-control-socket", *words, "wsgi:application"]


def _place(url: str) -> str:
    """Where a server is, without the password of its URL."""
    parts = urlsplit(url)
    return f"{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")


def _refuse_taken_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            told = f"Cannot listen on {settings.address}: {error.strerror}. Choose another with --port."
            raise ConfigError(told) from error


def _refuse_full_disk(data: Path) -> None:
    free = shutil.disk_usage(data).free
    if free < _LEAST_FREE_BYTES:
        told = f"The disk of the data folder {data} has {free >> 20} MiB left. "
        raise ConfigError(told + "Free some space, or choose another with --data.")


@contextmanager
def _locked(data: Path) -> Iterator[int]:
    """Hold the data folder; our children inherit the descriptor, so that an orphan still counts as its user."""
    try:
        data.mkdir(parents=True, mode=0o700, exist_ok=True)
        descriptor = os.open(data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigError(
            f"The data folder {data} cannot be used: {error.strerror}. Choose another with --data."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            told = f"Another server uses the data folder {data}. Stop it, or choose another with --data."
            raise ConfigError(told) from error
        yield descriptor
    finally:
        os.close(descriptor)


def _key_of_example(settings: Settings) -> str:
    """What a client has to add in this mode; the pages make keys."""
    if settings.auth == "none":
        return ""
    if settings.key_file.exists():
        return f', api_key=open("{settings.key_file}").read().strip()'
    return ', api_key="df_..."'


def _keep_key(backend: Backend, settings: Settings) -> None:
    """Put an API key into the data folder for who has not seen the set-up page; show it when it is new."""
    file = settings.key_file
    is_new = not file.exists()
    if is_new and not _has_account(backend, settings.admin_email):
        return  # a file with a key that opens nothing would mislead
    key = kept(file, new_key(), kind="API key")
    if not keep_key(backend, settings.admin_email, key):
        return
    _say(f"API key   {file}" + (f", made for {settings.admin_email}: {key}" if is_new else ""))


def _has_account(backend: Backend, email: str) -> bool:
    with backend.db.read() as tx:
        return users.find_by_email(tx, canonical_email(email)) is not None


def _say(text: str) -> None:
    click.echo(f"deerflow: {text}")
