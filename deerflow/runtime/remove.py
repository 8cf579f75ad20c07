"""Delete threads and runs, stopping what runs.

A thread: the rows first, so that it is gone at once; then what runs is stopped, then the checkpoints go. A run: it is
rolled back if it is in flight; of one that has ended a state worker removes the checkpoints and then the row.
"""

import logging
import time
from contextlib import suppress
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.assistants import require_removable
from deerflow.domain.principal import Principal
from deerflow.domain.words import CancelAction
from deerflow.errors import Conflict, NotFound, Unavailable
from deerflow.events.log import log_key
from deerflow.runtime.ask import about, ask
from deerflow.runtime.cancel import AlreadyEnded, cancel
from deerflow.storage import assistants, audit, runs, threads
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

_AT_A_TIME = 100

_STOP_PATIENCE_SECONDS = 25.0
"""For a run to stop: the ten seconds of a node that does not let itself be cancelled, a lease, and a little."""


def remove_thread(backend: Backend, principal: Principal, thread_id: UUID, *, address: str | None = None) -> None:
    """Delete a thread with its runs; NotFound when there is none that this caller owns. *address*: for the audit.

    A worker that still runs one of them finds its row gone, by the revoke or at the next lease beat, and can
    store nothing more once the clock has raised the fence.
    """
    with backend.db.begin() as tx:
        inflight = runs.inflight(tx, thread_id)
        kept = runs.ids(tx, thread_id)
        threads.delete(tx, principal, thread_id)
        audit.note(
            tx, "thread.delete", actor=principal.user_id, subject=str(thread_id), address=address, runs=len(kept)
        )
    log.info("Thread deleted", extra={"thread_id": thread_id, "inflight": len(inflight)})
    for run in inflight:
        if run.task_id is not None:
            backend.bell.revoke(run.task_id)
    for run_id in kept:
        backend.log.forget(run_id)
    backend.bell.sweep()


def remove_assistant(
    backend: Backend, principal: Principal, assistant_id: UUID, *, and_threads: bool, address: str | None = None
) -> None:
    """Delete an assistant; *and_threads*: the caller's threads whose last run was its, too. *address*: for the audit.

    The threads go first: who dies or fails in between can ask again. Raises NotFound, Forbidden (a system assistant).
    """
    with backend.db.read() as tx:
        require_removable(assistants.get(tx, principal, assistant_id))
    if and_threads:
        _remove_threads(backend, principal, assistant_id, address)
    with backend.db.begin() as tx:
        assistants.delete(tx, principal, assistant_id)
        audit.note(tx, "assistant.delete", actor=principal.user_id, subject=str(assistant_id), address=address)
    log.info("Assistant deleted", extra={"assistant_id": assistant_id})


def _remove_threads(backend: Backend, principal: Principal, assistant_id: UUID, address: str | None) -> None:
    while True:
        with backend.db.read() as tx:
            found = threads.of_assistant(tx, principal, assistant_id, limit=_AT_A_TIME)
        for thread_id in found:
            with suppress(NotFound):  # somebody else was faster
                remove_thread(backend, principal, thread_id, address=address)
        if len(found) < _AT_A_TIME:
            return


def remove_run(
    backend: Backend, principal: Principal, thread_id: UUID, run_id: UUID, *, address: str | None = None
) -> None:
    """Delete a run with the checkpoints that it wrote; returns when it is gone. *address*: for the audit.

    Noted in the transaction that decides: the mark of a rollback, or the removal of the row by the state worker.

    Raises NotFound, Conflict (it has ended, but another run of its thread is in flight), Unavailable (it goes on).
    """

    def note(tx: Tx) -> None:
        where = {"address": address, "thread_id": str(thread_id)}
        audit.note(tx, "run.delete", actor=principal.user_id, subject=str(run_id), **where)

    with suppress(AlreadyEnded):
        with backend.db.read() as tx:
            run = runs.get(tx, principal, thread_id, run_id)
        if not run.is_terminal:
            cancel(backend, principal, thread_id, run_id, CancelAction.ROLLBACK, note_removal=note)
            _wait_until_over(backend, run_id)
    with backend.db.begin() as tx:
        left = runs.peek(tx, run_id)
        if left is None:
            return
        threads.lock(tx, principal, thread_id)
        if inflight := runs.inflight(tx, thread_id):
            ids = [str(other.run_id) for other in inflight]
            raise Conflict(f"Thread {thread_id} has in-flight runs: {ids}. Delete the run when they have ended.")
        token = threads.raise_fence(tx, thread_id)
    facts = {**about(principal, thread_id, left.owner, left.graph_id), "run_id": str(run_id), "token": token}
    ask(backend, "remove_run", **facts, actor=principal.user_id, address=address)
    backend.log.forget(run_id)
    log.info("Run deleted", extra={"run_id": run_id, "thread_id": thread_id})


def _wait_until_over(backend: Backend, run_id: UUID) -> None:
    deadline = time.monotonic() + _STOP_PATIENCE_SECONDS
    with backend.wakeups.watch(log_key(run_id)) as watch:
        while True:
            watch.clear()
            with backend.db.read() as tx:
                if not runs.still_inflight(tx, [run_id]):
                    return
            left = deadline - time.monotonic()
            if left <= 0 or backend.wakeups.ending:
                raise Unavailable("The run has been told to stop and is still stopping; try again", retry_after=5)
            watch.wait(min(left, 1.0))
