"""The condition of the server, for who watches it: which parts answer, and how much there is to do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deerflow.backend import Backend
from deerflow.domain.words import RunStatus
from deerflow.errors import DeerflowError, Unavailable
from deerflow.events.presence import WorkerSeen
from deerflow.events.server import ServerSeen
from deerflow.storage import load
from deerflow.storage.schema import revision

T = TypeVar("T")

_QUEUES = ("runs", "state", "clock")


@dataclass(frozen=True)
class Condition:
    """What was found. None: the part that knows does not answer."""

    load: load.Load | None
    workers: list[WorkerSeen] | None
    ended: dict[RunStatus, int] | None

    def slots(self) -> tuple[int, int]:
        """How many runs workers execute, and how many they could."""
        of_runs = [worker for worker in self.workers or [] if "runs" in worker.queues]
        return sum(worker.executing for worker in of_runs), sum(worker.slots for worker in of_runs)


def condition_of(backend: Backend) -> Condition:
    """Look at everything."""
    return Condition(_or_none(lambda: _load(backend)), _or_none(backend.presence.alive), _or_none(backend.tally.all))


@dataclass(frozen=True)
class Part(Generic[T]):
    """A server that we need: what was seen of it, and within how many seconds; or what is wrong with it."""

    seen: T | None
    seconds: float
    problem: str | None = None


@dataclass(frozen=True)
class System:
    """The server as its administrators see it."""

    database: Part[str]
    """Which one it is."""
    redis: Part[ServerSeen]
    condition: Condition

    def workers(self, queue: str) -> list[WorkerSeen]:
        """Who works on a queue, by name."""
        return sorted((w for w in self.condition.workers or [] if queue in w.queues), key=lambda worker: worker.name)


def look(backend: Backend) -> System:
    """Look at all parts. One that does not answer is asked once: each question to it may take seconds."""
    database, redis = _part(lambda: _database(backend)), _part(backend.redis_server.look)
    measured = None if database.problem else _or_none(lambda: _load(backend))
    if redis.problem:
        return System(database, redis, Condition(measured, None, None))
    return System(database, redis, Condition(measured, _or_none(backend.presence.alive), _or_none(backend.tally.all)))


def _database(backend: Backend) -> str:
    found = backend.db.version()
    _require_schema(backend)
    return found


def _part(look: Callable[[], T]) -> Part[T]:
    began = time.perf_counter()
    try:
        seen = look()
    except Unavailable as error:
        return Part(None, time.perf_counter() - began, str(error))
    return Part(seen, time.perf_counter() - began)


def workers_are_there(backend: Backend) -> bool:
    """Whether somebody executes runs, by one look at Redis; also when that does not answer, as then nobody knows."""
    found = _or_none(backend.presence.alive)
    return found is None or any("runs" in worker.queues for worker in found)


def parts_of(backend: Backend) -> dict[str, str]:
    """What each part that requests need says: ``ok``, or what is wrong with it."""
    checks: dict[str, Callable[[], None]] = {
        "database": backend.db.ping,
        "schema": lambda: _require_schema(backend),
        "redis": backend.bell.ping,
        **{queue: lambda queue=queue: _require_worker(backend, queue) for queue in _QUEUES},  # type: ignore[misc]
    }
    return {part: _said(check) for part, check in checks.items()}


def _load(backend: Backend) -> load.Load:
    with backend.db.read() as tx:
        return load.measure(tx)


def _or_none(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except Unavailable:
        return None


def _said(check: Callable[[], None]) -> str:
    try:
        check()
    except DeerflowError as error:
        return str(error)
    return "ok"


def _require_schema(backend: Backend) -> None:
    here, wanted = revision(backend.db)
    if here != wanted:
        raise Unavailable(f"The schema is at {here or 'nothing'}, this release needs {wanted}")


def _require_worker(backend: Backend, queue: str) -> None:
    if not any(queue in worker.queues for worker in backend.presence.alive()):
        raise Unavailable(f"Nobody works on the queue {queue}")
