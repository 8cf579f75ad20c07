"""Why a run has not begun yet."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.run_list import Queued, Waiting, ahead_of, why_waiting
from deerflow.runtime.condition import workers_are_there
from deerflow.storage import run_search


@dataclass(frozen=True)
class Wait:
    """Why a run waits. ``ahead``: the runs of its thread that come first, so its place is one more than they are."""

    why: Waiting
    ahead: list[Queued]

    @property
    def place(self) -> int:
        """Its place in its thread's queue; who runs now has the first."""
        return len(self.ahead) + 1


def wait_of(backend: Backend, principal: Principal, thread_id: UUID, run_id: UUID) -> Wait | None:
    """Why this run of a thread waits; None when it does not, or is not there for this caller."""
    with backend.db.read() as tx:
        inflight = run_search.inflight(tx, principal, thread_id)
    run = next((each for each in inflight if each.run_id == run_id and each.is_waiting), None)
    if run is None:
        return None
    at = datetime.now(UTC)
    ahead = ahead_of(run, inflight, at)
    return Wait(why_waiting(run, ahead, at, has_workers=workers_are_there(backend)), ahead)
