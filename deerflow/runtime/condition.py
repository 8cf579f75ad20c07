"""The condition of the server, for who watches it: which parts answer, and how much there is to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deerflow.backend import Backend
from deerflow.domain.words import RunStatus
from deerflow.errors import DeerflowError, Unavailable
from deerflow.events.presence import WorkerSeen
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
