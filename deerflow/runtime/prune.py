"""Prune threads: delete them, or all of their past but the newest checkpoint of each namespace."""

from collections.abc import Sequence
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.words import ThreadStatus
from deerflow.errors import NotFound
from deerflow.runtime.ask import ask
from deerflow.runtime.remove import remove_thread
from deerflow.storage import threads

_THREADS_A_QUESTION = 50


def delete_threads(
    backend: Backend, principal: Principal, thread_ids: Sequence[UUID], *, address: str | None = None
) -> int:
    """Delete those of these threads that the caller has, with what runs on them; how many there were."""
    deleted = 0
    for thread_id in thread_ids:
        try:
            remove_thread(backend, principal, thread_id, address=address)
        except NotFound:
            continue
        deleted += 1
    return deleted


def keep_latest(backend: Backend, principal: Principal, thread_ids: Sequence[UUID]) -> int:
    """Delete the past of those of these threads that the caller has; how many there were.

    Left out are threads with a run in flight, which may need it.
    """
    pruned = 0
    for start in range(0, len(thread_ids), _THREADS_A_QUESTION):
        some = sorted(thread_ids[start : start + _THREADS_A_QUESTION])  # everybody locks in this order
        if held := _take(backend, principal, some):
            pruned += ask(backend, "prune", threads=[[str(thread_id), token] for thread_id, token in held])
    return pruned


def _take(backend: Backend, principal: Principal, thread_ids: Sequence[UUID]) -> list[tuple[UUID, int]]:
    """Those that rest, each with a token that shuts out who would write to it meanwhile."""
    held = []
    with backend.db.begin() as tx:
        for thread_id in thread_ids:
            try:
                thread, _ = threads.lock(tx, principal, thread_id)
            except NotFound:
                continue
            if thread.status != ThreadStatus.BUSY:
                held.append((thread_id, threads.raise_fence(tx, thread_id)))
    return held
