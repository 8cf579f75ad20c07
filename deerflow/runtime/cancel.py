"""Cancel a run: the durable mark on the row first, then the bell."""

import logging
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.runs import USER_INTERRUPT, Run
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.errors import Conflict
from deerflow.runtime.outbox import note_end
from deerflow.runtime.ring import ring_again, ring_next
from deerflow.storage import runs, threads
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)


class AlreadyEnded(Conflict):
    """The run had ended by itself before the cancel came; ``status`` is how."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"Run {run.run_id} has already ended with status {run.status}")
        self.status = run.status


def cancel(backend: Backend, principal: Principal, thread_id: UUID, run_id: UUID, action: CancelAction) -> Run:
    """Ask a run to stop; the run as it is now, possibly still running.

    The same answer for whoever asks again while a cancel is ending the run or has ended it. Raises NotFound,
    AlreadyEnded.
    """
    with backend.db.begin() as tx:
        run = runs.get(tx, principal, thread_id, run_id)
        marked = mark(tx, run, action) if not run.is_terminal else None
    if marked is None:
        return _as_the_first_time(backend, principal, run)
    log.info("Cancel marked", extra={"run_id": run_id, "status": marked.status, "action": marked.cancel_action})
    carry_out(backend, marked)
    return marked


def mark(tx: Tx, run: Run, action: CancelAction) -> Run | None:
    """Write the mark; a run that never started has ended with it. None when it is no longer in flight."""
    marked = runs.mark_cancel(tx, run, action)
    if marked is not None and marked.is_terminal:
        note_end(tx, marked, status=marked.status, error=USER_INTERRUPT, values=None)
    return marked


def _as_the_first_time(backend: Backend, principal: Principal, run: Run) -> Run:
    with backend.db.read() as tx:
        now = runs.get(tx, principal, run.thread_id, run.run_id)
    if now.was_cancelled:
        return now
    raise AlreadyEnded(now)


def carry_out(backend: Backend, run: Run) -> None:
    """Do what a mark that is committed asks for."""
    if run.is_terminal:  # it had never started
        if run.takes_its_thread:
            with backend.db.begin() as tx:
                threads.discard(tx, run.thread_id)
        backend.log.wake(run.run_id)
        ring_next(backend, run.thread_id)
    elif run.status is RunStatus.RUNNING and run.task_id is not None:
        backend.bell.revoke(run.task_id)
    else:  # handed over or waiting after a lapsed lease: whoever claims it only finishes the cancel
        ring_again(backend, run.run_id)
