"""Delete a thread: the rows first, so that it is gone at once; then stop what runs, then the checkpoints."""

import logging
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.storage import runs, threads

log = logging.getLogger(__name__)


def remove_thread(backend: Backend, principal: Principal, thread_id: UUID) -> None:
    """Delete a thread with its runs; NotFound when there is none that this caller owns.

    A worker that still runs one of them finds its row gone, by the revoke or at the next lease beat, and can
    store nothing more once the clock has raised the fence.
    """
    with backend.db.begin() as tx:
        inflight = runs.inflight(tx, thread_id)
        kept = runs.ids(tx, thread_id)
        threads.delete(tx, principal, thread_id)
    log.info("Thread deleted", extra={"thread_id": thread_id, "inflight": len(inflight)})
    for run in inflight:
        if run.task_id is not None:
            backend.bell.revoke(run.task_id)
    for run_id in kept:
        backend.log.forget(run_id)
    backend.bell.sweep()
