"""Cancel a run: the durable mark on the row first, then the bell."""

import logging
from collections.abc import Callable, Collection
from uuid import UUID

import orjson

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Ended, Followed, Run
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.errors import Conflict, NotFound
from deerflow.events.log import Tombstone
from deerflow.runtime.outbox import note_end
from deerflow.runtime.ring import ring_again, ring_next
from deerflow.storage import cancels, runs, threads
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

INTERRUPTED = {"error": "UserInterrupt", "message": "The run was interrupted by a cancel request."}
ROLLED_BACK = {"error": "UserRollback", "message": "The run was rolled back by a cancel request."}

_RUNS_AT_ONCE = 200


class AlreadyEnded(Conflict):
    """The run had ended by itself before the cancel came."""

    def __init__(self, run: Followed) -> None:
        how = f" with status {run.status}" if isinstance(run, Run) else ""
        super().__init__(f"Run {run.run_id} has already ended{how}")


def cancel(
    backend: Backend,
    principal: Principal,
    thread_id: UUID,
    run_id: UUID,
    action: CancelAction,
    *,
    note_removal: Callable[[Tx], None] | None = None,
) -> Followed:
    """Ask a run to stop; the run as it is now, possibly still running, or what is left of it.

    The same answer for whoever asks again while a cancel is ending the run or has ended it, whatever its action was:
    the first one counts. *note_removal* is called in the transaction that decides that the run leaves no row.
    Raises NotFound, AlreadyEnded.
    """
    try:
        with backend.db.begin() as tx:
            run = runs.get(tx, principal, thread_id, run_id)
            marked = mark(tx, backend, run, action) if not run.is_terminal else None
            if note_removal is not None and marked is not None and marked.is_rolled_back and not run.is_rolled_back:
                note_removal(tx)
    except NotFound:
        return _of_tombstone(backend, principal, thread_id, run_id)
    if marked is None:
        return _as_the_first_time(backend, principal, run)
    log.info("Cancel marked", extra={"run_id": run_id, "status": marked.status, "action": marked.cancel_action})
    carry_out(backend, marked)
    return marked


def cancel_many(
    backend: Backend, principal: Principal, action: CancelAction, *, thread_id: UUID, run_ids: Collection[UUID]
) -> int:
    """Ask several runs of a thread to stop; how many of them a cancel stops or has stopped.

    The newest first: one that waits must not begin because the one before it was stopped a moment earlier.
    """
    count = 0
    for run_id in sorted(set(run_ids), reverse=True):
        try:
            cancel(backend, principal, thread_id, run_id, action)
        except (AlreadyEnded, NotFound):
            continue
        count += 1
    return count


def cancel_all(backend: Backend, principal: Principal, action: CancelAction, statuses: Collection[RunStatus]) -> int:
    """Ask all runs of a caller that have one of these statuses to stop; how many there were."""
    count = 0
    while True:
        with backend.db.read() as tx:
            found = cancels.inflight_of(tx, principal, tuple(statuses), limit=_RUNS_AT_ONCE)
        if not found:
            return count
        for run in found:
            count += cancel_many(backend, principal, action, thread_id=run.thread_id, run_ids=[run.run_id])


def mark(tx: Tx, backend: Backend, run: Run, action: CancelAction) -> Run | None:
    """Write a cancel's mark; ``carry_out`` has to follow the commit. None when the run is not in flight any more."""
    marked = cancels.mark_cancel(tx, run, action)
    if marked is None or not marked.is_terminal:
        return marked
    told_error = ROLLED_BACK if marked.is_rolled_back else INTERRUPTED
    note_end(tx, marked, status=marked.status, error=told_error, values=None)
    if leaves_no_row(marked):
        # Before the commit: who waits for the run must find the reason when the row has gone.
        told = {"__error__": ROLLED_BACK} if marked.is_rolled_back else {}
        backend.log.bury(marked.run_id, tombstone(marked, cancelled=True), orjson.dumps(told))
    return marked


def leaves_no_row(run: Run) -> bool:
    """Whether the row of this run goes with its end."""
    return run.is_rolled_back or run.takes_its_thread


def tombstone(run: Run, *, cancelled: bool) -> Tombstone:
    """What is kept of a run that leaves no row; *cancelled*: that is how it ends."""
    return Tombstone(run.thread_id, run.owner, cancelled)


def carry_out(backend: Backend, run: Run) -> None:
    """Do what a mark that is committed asks for."""
    if run.is_terminal:  # it had never started
        if run.takes_its_thread:
            with backend.db.begin() as tx:
                threads.discard(tx, run.thread_id)
        if not run.is_rolled_back:
            backend.tally.ended(run.status)
        backend.log.wake(run.run_id)
        ring_next(backend, run.thread_id)
    elif run.status is RunStatus.RUNNING and run.task_id is not None:
        backend.bell.revoke(run.task_id)
    else:  # handed over or waiting after a lapsed lease: whoever claims it only finishes the cancel
        ring_again(backend, run.run_id)


def _as_the_first_time(backend: Backend, principal: Principal, run: Run) -> Followed:
    try:
        with backend.db.read() as tx:
            now = runs.get(tx, principal, run.thread_id, run.run_id)
    except NotFound:
        return _of_tombstone(backend, principal, run.thread_id, run.run_id)
    if now.was_cancelled:
        return now
    raise AlreadyEnded(now)


def left_of(backend: Backend, principal: Principal, thread_id: UUID | None, run_id: UUID) -> Tombstone:
    """What is left of a run without a row; NotFound when that is nothing, or not for this caller.

    A rolled back run is seen by who sees its thread. Where the thread has gone as well, no filter of a handler can be
    asked any more, and it is its owner's.
    """
    left = backend.log.tombstone(run_id)
    if left is None or thread_id not in (None, left.thread_id) or not _may_see(backend, principal, left):
        raise NotFound("Run not found")
    return left


def _may_see(backend: Backend, principal: Principal, left: Tombstone) -> bool:
    is_own = left.owner == principal.user_id
    if not principal.filters:
        return is_own
    with backend.db.read() as tx:
        found = threads.see(tx, principal, left.thread_id)
    return is_own if found is None else found


def _of_tombstone(backend: Backend, principal: Principal, thread_id: UUID, run_id: UUID) -> Ended:
    """What is left of a run without a row; AlreadyEnded when no cancel has ended it."""
    left, ended = left_of(backend, principal, thread_id, run_id), Ended(run_id, thread_id)
    if not left.cancelled:
        raise AlreadyEnded(ended)
    return ended
