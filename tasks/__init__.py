"""The Celery app: opens a worker's Backend when its pool starts, closes it when the pool stops."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from celery import Celery, signals
from celery.platforms import SecurityWarning

from deerflow import logs
from deerflow.backend import WorkerBackend, open_worker
from deerflow.dispatch.bell import CLOCK, RUNS, STATE
from deerflow.hooks.send import open_sender
from deerflow.runtime.boot import boot, tell_schemas
from deerflow.runtime.lease import Leases
from deerflow.runtime.notify import Deliveries
from deerflow.settings import Settings

if TYPE_CHECKING:
    from deerflow.dispatch.pool import AsyncioPool

# Celery warns root because of pickle; we accept JSON only, and containers run as root every day.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery(
    "tasks",
    task_cls="deerflow.dispatch.pool:AsyncTask",
    config_source="celeryconfig",
    include=["tasks.clock"],
)

WITH_GRAPHS = {RUNS: "tasks.runs", STATE: "tasks.state"}
"""Imported where they are executed: LangGraph takes long, and the clock runs no graph."""

_CHECKPOINT_CONNECTIONS = {CLOCK: 1, STATE: 3}
"""With web's 5, two a process for rows and a worker's 4, one of each fits the 20 of a small Postgres."""


@dataclass(frozen=True)
class Worker:
    """What a task finds in ``self.resources``."""

    backend: WorkerBackend
    leases: Leases
    deliveries: Deliveries | None = None
    """The clock's only."""


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    logs.setup(Settings.from_env().log_level)


@asynccontextmanager
async def lifespan(pool: "AsyncioPool") -> AsyncIterator[Worker]:
    """Open what the tasks of this worker need, for as long as its pool lives."""
    queues = set(pool.app.amqp.queues.consume_from)
    settings = Settings.from_env()
    for module in (WITH_GRAPHS[queue] for queue in sorted(queues & WITH_GRAPHS.keys())):
        import_module(module)  # before the project's graphs, whose modules may be called like ours
    async with open_worker(
        settings,
        user_code=queues != {CLOCK},
        handlers=STATE in queues,
        checkpoint_pool=_CHECKPOINT_CONNECTIONS.get(min(queues), 4),
    ) as backend:
        await backend.sql(boot, backend)
        if queues != {CLOCK}:
            await tell_schemas(backend)
        # What is loaded now stays: the collector need not walk it again with every thousand tokens.
        gc.collect()
        gc.freeze()
        leases = Leases(backend, tuple(sorted(queues)))
        leases.start()
        drain = asyncio.create_task(_drain_when_told(pool, leases))
        try:
            async with _delivering(backend, settings) if CLOCK in queues else nullcontext() as deliveries:
                yield Worker(backend, leases, deliveries)
        finally:
            drain.cancel()
            leases.close()


@asynccontextmanager
async def _delivering(backend: WorkerBackend, settings: Settings) -> AsyncIterator[Deliveries]:
    async with aclosing(open_sender(settings, backend.project, backend.webhook_policy)) as sender:
        deliveries = Deliveries(backend, sender)
        try:
            yield deliveries
        finally:
            await deliveries.close()


async def _drain_when_told(pool: "AsyncioPool", leases: Leases) -> None:
    await pool.draining.wait()
    leases.drain()
