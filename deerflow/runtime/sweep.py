"""Remove what has had its time.

Threads that have expired, checkpoints of deleted ones, old webhooks, expired idempotency keys, sessions and store
items, old entries of the audit.
"""

import logging
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from deerflow.backend import Backend, WorkerBackend
from deerflow.errors import Fenced
from deerflow.runtime.adopt import finish_adoptions
from deerflow.storage import audit, idempotency, sessions, threads, webhooks
from deerflow.storage.threads import Expired

log = logging.getLogger(__name__)

_THREADS_A_SWEEP = 100
_KEEP_DELIVERED = timedelta(days=3)
"""Whether something was told is asked on Monday about Friday."""
_KEEP_DEAD = timedelta(days=30)
"""Whoever has mended a receiver wants to replay what it missed."""
_ROWS_A_TRANSACTION = 500


async def sweep(backend: WorkerBackend) -> None:
    """Delete the checkpoints of deleted threads and fence their workers off, hand over what was adopted.

    What fails is tried at the next turn.

    Expired rows go too, some hundred in each transaction so that nobody waits long for the database.
    """
    for remove in (remove_expired_keys, remove_expired_sessions, remove_old_audit):
        while await backend.sql(remove, backend) == _ROWS_A_TRANSACTION:
            pass
    while await _end_expired_threads(backend) == _THREADS_A_SWEEP:
        pass
    for thread_id, fence in await backend.sql(_doomed, backend):
        await backend.savers.remove_thread(thread_id, fence)
        await backend.sql(_forget, backend, thread_id, fence)
        log.info("Checkpoints of a deleted thread removed", extra={"thread_id": thread_id})
    await backend.sql(_forget_webhooks, backend)
    await finish_adoptions(backend)


async def sweep_items(backend: WorkerBackend) -> None:
    """Remove what has expired of the store, as often as langgraph.json wants; nobody sees it meanwhile."""
    if gone := await backend.savers.sweep_items():
        log.info("Expired store items removed", extra={"count": gone})


async def _end_expired_threads(backend: WorkerBackend) -> int:
    """Delete or prune some of the threads whose time is over; how many were looked at.

    A thread that is to be pruned is marked as done when it is: who dies before that leaves it to the next sweep.
    """
    found = await backend.sql(_take_expired, backend)
    for thread_id in found.gone:
        log.info("Thread expired", extra={"thread_id": thread_id})
    for run_id in found.runs_gone:
        await backend.sql(backend.log.forget, run_id)
    for thread_id, token in found.to_prune:
        with suppress(Fenced):  # a run has begun: the thread has not expired after all
            await backend.savers.prune_thread(thread_id, token)
        await backend.sql(_look_later, backend, thread_id)
        log.info("Past of a thread expired", extra={"thread_id": thread_id})
    return found.looked_at


def remove_expired_keys(backend: Backend) -> int:
    """Remove some of the keys that stand for nothing any more; how many."""
    with backend.db.begin() as tx:
        keep = backend.rules.idempotency_seconds
        return idempotency.remove_expired(tx, keep_seconds=keep, limit=_ROWS_A_TRANSACTION)


def remove_expired_sessions(backend: Backend) -> int:
    """Remove some of the sessions that have ended by themselves; how many."""
    with backend.db.begin() as tx:
        return sessions.remove_expired(tx, limit=_ROWS_A_TRANSACTION)


def remove_old_audit(backend: Backend) -> int:
    """Remove some of what the audit has kept long enough; how many."""
    with backend.db.begin() as tx:
        return audit.remove_old(tx, keep_days=backend.rules.audit_days, limit=_ROWS_A_TRANSACTION)


def _take_expired(backend: WorkerBackend) -> Expired:
    with backend.db.begin() as tx:
        return threads.take_expired(tx, limit=_THREADS_A_SWEEP)


def _look_later(backend: WorkerBackend, thread_id: UUID) -> None:
    with backend.db.begin() as tx:
        threads.look_later(tx, thread_id)


def _doomed(backend: WorkerBackend) -> list[tuple[UUID, int]]:
    with backend.db.read() as tx:
        return threads.doomed(tx, limit=_THREADS_A_SWEEP)


def _forget(backend: WorkerBackend, thread_id: UUID, fence: int) -> None:
    with backend.db.begin() as tx:
        threads.forget_doomed(tx, thread_id, fence)


def _forget_webhooks(backend: WorkerBackend) -> None:
    with backend.db.begin() as tx:
        webhooks.forget(tx, delivered_for=_KEEP_DELIVERED, dead_for=_KEEP_DEAD)
