"""Backend: the resources of one process, opened once, closed in reverse; each part can be pinged."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from deerflow import project
from deerflow.auth.limits import Limits
from deerflow.dispatch.bell import Bell, sender
from deerflow.domain.threads import Ttl
from deerflow.domain.words import TtlStrategy
from deerflow.errors import ConfigError
from deerflow.events.answers import Answers
from deerflow.events.connections import connect, connect_async, connect_listener
from deerflow.events.log import RunLog
from deerflow.events.presence import Presence
from deerflow.events.server import Server
from deerflow.events.tails import Tails
from deerflow.events.tally import Tally
from deerflow.events.threads import FollowedThreads
from deerflow.events.wakeups import Wakeups
from deerflow.hooks.policy import Policy
from deerflow.settings import Settings, apply_project_env
from deerflow.storage.database import Database
from deerflow.storage.uses import Uses

if TYPE_CHECKING:
    import redis.asyncio

    from deerflow.graphs.handlers import Handlers
    from deerflow.graphs.registry import Graphs
    from deerflow.graphs.savers import Savers

T = TypeVar("T")

log = logging.getLogger(__name__)

_SQL_THREADS = 4


@dataclass(frozen=True)
class Rules:
    """The numbers that runs live by."""

    lease: timedelta
    lease_beat: timedelta
    crash_limit: int
    heartbeat_seconds: float
    keep_log_seconds: int
    keep_resumable_log_seconds: int
    run_timeout_seconds: float
    thread_queue_limit: int
    recursion_limit: int
    idempotency_seconds: int
    audit_days: int
    log_bytes: int
    event_bytes: int
    webhook_timeout_seconds: float
    webhook_tries: int
    webhook_slots: int
    worker_runs: int


@dataclass(frozen=True)
class Backend:
    """What every process has: the database, the event log, the bell."""

    db: Database
    log: RunLog
    tails: Tails
    threads: FollowedThreads
    wakeups: Wakeups
    answers: Answers
    presence: Presence
    tally: Tally
    redis_server: Server
    bell: Bell
    limits: Limits
    uses: Uses
    rules: Rules
    project: project.Project
    webhook_policy: Policy

    @property
    def thread_ttl(self) -> Ttl | None:
        """How long threads are kept of which nobody says anything else; None: for ever."""
        said = self.project.checkpointer
        return None if said.default_ttl is None else Ttl(said.default_ttl, TtlStrategy(said.strategy))

    def ping(self) -> None:
        """Raise Unavailable when a part does not answer."""
        self.db.ping()
        self.bell.ping()

    def close(self) -> None:
        """Close what ``open_backend`` opened."""
        self.wakeups.close()
        self.log.close()
        self.bell.close()
        self.uses.close()
        self.db.close()


def open_backend(settings: Settings, *, sql_pool: int = 5) -> Backend:
    """Open the resources that web and command line need; nothing is connected before its first use."""
    db, client = Database(settings.database, pool=sql_pool), connect(settings.redis)
    log, wakeups = RunLog(client), Wakeups(connect_listener(settings.redis))
    found = project.load(settings.project_file)
    return Backend(
        db=db,
        log=log,
        tails=Tails(log, wakeups),
        threads=FollowedThreads(client, wakeups),
        wakeups=wakeups,
        answers=Answers(client),
        presence=Presence(client),
        tally=Tally(client),
        redis_server=Server(client),
        bell=Bell(sender(settings.broker)),
        limits=Limits(client),
        uses=Uses(db),
        rules=_rules(settings),
        project=found,
        webhook_policy=_webhook_policy(settings, found),
    )


def _rules(settings: Settings) -> Rules:
    """Rules are settings, under the same names but for the two that are lengths of time."""
    same = {f.name: getattr(settings, f.name) for f in fields(Rules) if not f.name.startswith("lease")}
    lengths = timedelta(seconds=settings.lease_seconds), timedelta(seconds=settings.lease_beat_seconds)
    return Rules(lease=lengths[0], lease_beat=lengths[1], **same)


def _webhook_policy(settings: Settings, found: project.Project) -> Policy:
    """What langgraph.json says of webhooks goes before the settings, in both directions."""
    said = found.webhooks
    return Policy(
        disabled="webhooks" in found.http.disabled,
        allow_http=settings.webhook_allow_http if said.require_https is None else not said.require_https,
        allow_loopback=settings.webhook_allow_loopback if said.disable_loopback is None else not said.disable_loopback,
        allow_private=settings.webhook_allow_private,
        allowed_domains=said.allowed_domains,
        allowed_ports=said.allowed_ports,
        max_url_length=said.max_url_length or Policy.max_url_length,
    )


@dataclass(frozen=True)
class WorkerBackend(Backend):
    """What a worker has besides: the checkpoint store, the user's graphs, and ways to SQL and Redis from its loop."""

    worker: str
    savers: "Savers"
    loaded: "Graphs | None"
    """The user's graphs; None in the clock."""
    handlers: "Handlers | None"
    """The project's own, in a state worker whose project has some that can be used."""
    redis: "redis.asyncio.Redis"
    sql_threads: ThreadPoolExecutor

    @property
    def graphs(self) -> "Graphs":
        """The user's graphs, in a worker that has some."""
        if self.loaded is None:
            raise RuntimeError("The clock has no graphs")
        return self.loaded

    async def sql(self, act: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a function that uses the database on a thread of our own (the default executor is the users')."""
        return await asyncio.get_running_loop().run_in_executor(self.sql_threads, partial(act, *args, **kwargs))


@asynccontextmanager
async def open_worker(
    settings: Settings, *, user_code: bool, handlers: bool = False, checkpoint_pool: int = 4
) -> AsyncIterator[WorkerBackend]:
    """Open a worker's backend on its loop. Without *user_code* (the clock) no graph is imported, nor what runs them.

    *handlers*: import those of langgraph.json's ``auth``, too (the state worker, which is asked what they say).
    """
    # The web process imports this module too, and must not import LangGraph. All before a graph is loaded: after that
    # our names may be the project's.
    from deerflow.graphs.embedding import Embedding  # noqa: PLC0415
    from deerflow.graphs.savers import open_savers  # noqa: PLC0415

    if handlers:
        from deerflow.graphs.handlers import Handlers  # noqa: PLC0415
    if user_code:
        from deerflow.graphs.registry import Graphs  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        base = open_backend(settings, sql_pool=2)
        stack.callback(base.close)
        sql_threads = ThreadPoolExecutor(_SQL_THREADS, thread_name_prefix="sql")
        stack.callback(sql_threads.shutdown, wait=False, cancel_futures=True)
        client = connect_async(settings.redis)
        stack.push_async_callback(client.aclose)
        if user_code:
            apply_project_env(base.project.env, base.project.folder)
        loaded = Graphs.load(base.project) if user_code else None
        if loaded is not None and loaded.broken and settings.graphs_must_import:
            raise ConfigError("; ".join(loaded.broken.values()))
        try:
            embedding = Embedding.load(base.project) if user_code else None
        except ConfigError:
            if settings.graphs_must_import or base.project.store.index is None:
                raise
            log.exception("The embedding cannot be used: items that need it are refused")
            embedding = Embedding.broken(base.project.store.index)
        savers = await stack.enter_async_context(
            open_savers(settings.checkpoints, pool=checkpoint_pool, store=base.project.store, embedding=embedding)
        )
        try:
            found = Handlers.load(base.project) if handlers else None
        except ConfigError:
            if settings.graphs_must_import:
                raise
            log.exception("The authorization handlers cannot be used: nobody is let in by them")
            found = None
        yield WorkerBackend(
            **vars(base),
            worker=settings.worker_name or f"{socket.gethostname()}-{uuid4().hex[:12]}",
            savers=savers,
            loaded=loaded,
            handlers=found,
            redis=client,
            sql_threads=sql_threads,
        )
