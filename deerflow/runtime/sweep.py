"""Remove what deletions have left behind: the checkpoints of deleted threads."""

import logging
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.storage import threads

log = logging.getLogger(__name__)

_THREADS_A_SWEEP = 100


async def sweep(backend: WorkerBackend) -> None:
    """Delete the checkpoints of deleted threads and fence their workers off; what fails is tried at the next turn."""
    for thread_id, fence in await backend.sql(_doomed, backend):
        await backend.savers.remove_thread(thread_id, fence)
        await backend.sql(_forget, backend, thread_id)
        log.info("Checkpoints of a deleted thread removed", extra={"thread_id": thread_id})


def _doomed(backend: WorkerBackend) -> list[tuple[UUID, int]]:
    with backend.db.read() as tx:
        return threads.doomed(tx, limit=_THREADS_A_SWEEP)


def _forget(backend: WorkerBackend, thread_id: UUID) -> None:
    with backend.db.begin() as tx:
        threads.forget_doomed(tx, thread_id)
