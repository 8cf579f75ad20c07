"""Wait, for a moment, until a thread that is busy has come to rest."""

import time
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.words import RunStatus
from deerflow.errors import NotFound
from deerflow.events.log import log_key
from deerflow.storage import runs, threads

_LOOK_SECONDS = 1.0
"""Behind every doorbell there is a clock."""


def settle(backend: Backend, principal: Principal, thread_id: UUID, *, seconds: float) -> bool:
    """Whether nothing runs on this caller's thread, or has ended within that time.

    Who has heard a run's question may answer before the run has ended; it may end while one looks.
    """
    running = _running(backend, principal, thread_id)
    if running is None:
        return True
    deadline = time.monotonic() + seconds
    with backend.wakeups.watch(log_key(running)) as watch:
        while True:
            watch.clear()
            with backend.db.read() as tx:
                if not runs.still_inflight(tx, [running]):
                    return True
            while not watch.clear():  # tokens ring, too, and they change no row
                if (left := deadline - time.monotonic()) <= 0 or backend.wakeups.ending:
                    return False
                if not watch.wait(min(left, _LOOK_SECONDS)):
                    break


def _running(backend: Backend, principal: Principal, thread_id: UUID) -> UUID | None:
    with backend.db.read() as tx:
        try:
            threads.get(tx, principal, thread_id)
        except NotFound:
            return None
        inflight = runs.inflight(tx, thread_id)
    return next((run.run_id for run in inflight if run.status is RunStatus.RUNNING), None)
