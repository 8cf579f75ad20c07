"""Remove what is over: the checkpoints of deleted threads, webhooks that were delivered or given up long ago."""

import logging
from datetime import timedelta
from uuid import UUID

from deerflow.backend import WorkerBackend
from deerflow.storage import threads, webhooks

log = logging.getLogger(__name__)

_THREADS_A_SWEEP = 100
_KEEP_DELIVERED = timedelta(days=3)
"""Whether something was told is asked on Monday about Friday."""
_KEEP_DEAD = timedelta(days=30)
"""Whoever has mended a receiver wants to replay what it missed."""


async def sweep(backend: WorkerBackend) -> None:
    """Delete the checkpoints of deleted threads and fence their workers off; what fails is tried at the next turn."""
    for thread_id, fence in await backend.sql(_doomed, backend):
        await backend.savers.remove_thread(thread_id, fence)
        await backend.sql(_forget, backend, thread_id)
        log.info("Checkpoints of a deleted thread removed", extra={"thread_id": thread_id})
    await backend.sql(_forget_webhooks, backend)


def _doomed(backend: WorkerBackend) -> list[tuple[UUID, int]]:
    with backend.db.read() as tx:
        return threads.doomed(tx, limit=_THREADS_A_SWEEP)


def _forget(backend: WorkerBackend, thread_id: UUID) -> None:
    with backend.db.begin() as tx:
        threads.forget_doomed(tx, thread_id)


def _forget_webhooks(backend: WorkerBackend) -> None:
    with backend.db.begin() as tx:
        webhooks.forget(tx, delivered_for=_KEEP_DELIVERED, dead_for=_KEEP_DEAD)
