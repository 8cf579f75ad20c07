"""Build threads whose checkpoints come before their row: a copy of another one, or what supersteps tell.

1. The id is reserved, as if its thread had been deleted: the clock removes what is written of it in vain.
2. A state worker writes the checkpoints.
3. One transaction gives up the reservation and inserts the row. Killed anywhere before that, nothing is left.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.threads import Thread, ThreadHead, Ttl
from deerflow.domain.words import ThreadStatus
from deerflow.errors import BadRequest, Conflict, NotFound, Unavailable
from deerflow.runtime.ask import about, ask, require_served
from deerflow.storage import threads
from deerflow.storage.database import Tx

_RESERVED_SECONDS = 90.0
_LEAST_LEFT_SECONDS = 30.0
"""A row that is inserted later than that could meet the clock, which removes the checkpoints."""


@dataclass(frozen=True)
class Built:
    """A thread that has all but its row. ``source``: the one that it is a copy of."""

    thread_id: UUID
    token: int
    metadata: dict[str, Any]
    ttl: Ttl | None
    head: ThreadHead | None
    source: Thread | None = None


def copy_thread(backend: Backend, principal: Principal, source: Thread, thread_id: UUID) -> Built:
    """Copy a thread's checkpoints, as far as they are stored; its runs stay where they are."""
    token = _reserve(backend, thread_id)
    graph_id = source.graph_id if source.graph_id in backend.project.graphs else None
    facts = about(principal, thread_id, principal.user_id, graph_id)
    head = _head(ask(backend, "copy", **facts, source_id=str(source.thread_id), token=token))
    if head is None and source.interrupts is not None:  # its graph is not there any more; a run has ended on it
        head = ThreadHead(source.values, (), source.interrupts)
    return Built(thread_id, token, source.metadata, source.ttl, head, source)


def build_thread(
    backend: Backend,
    principal: Principal,
    thread_id: UUID,
    *,
    metadata: dict[str, Any],
    ttl: Ttl | None,
    supersteps: list[list[dict[str, Any]]],
) -> Built:
    """Write what supersteps tell as a new thread's checkpoints.

    Raises Conflict (the id is taken), BadRequest (no graph is named, or it does not take them) and NotFound (there is
    no such graph); nothing is left then.
    """
    graph_id = metadata.get("graph_id")
    if not isinstance(graph_id, str):
        raise BadRequest("Supersteps need a graph: name it in metadata.graph_id")
    require_served(backend, graph_id)
    token = _reserve(backend, thread_id)
    facts = about(principal, thread_id, principal.user_id, graph_id)
    try:
        head = _head(ask(backend, "build", **facts, token=token, supersteps=supersteps))
    except BadRequest:  # the state worker has removed what it had written
        with backend.db.begin() as tx:
            threads.redeem(tx, thread_id, seconds_left=0.0)
        raise
    return Built(thread_id, token, metadata, ttl, head)


def settle(tx: Tx, principal: Principal, built: Built) -> Thread:
    """Insert the row, with what the newest checkpoint says. Conflict when the copied thread is gone by now."""
    if built.source is not None:
        require_source(tx, principal, built.source.thread_id)
    if not threads.redeem(tx, built.thread_id, seconds_left=_LEAST_LEFT_SECONDS):
        raise Unavailable("The thread could not be made in time; try again", retry_after=5)
    threads.create(tx, principal, built.thread_id, built.metadata, ttl=built.ttl, fence=built.token)
    rests = ThreadStatus.IDLE if built.source is not None else None  # a copy is idle, whatever it was copied from
    title = built.source.title if built.source is not None else None
    return threads.show_head(tx, built.thread_id, head=built.head, rests=rests, title=title)


def require_source(tx: Tx, principal: Principal, thread_id: UUID) -> Thread:
    """The thread that is to be copied; Conflict when there is none that this caller sees, as on the reference."""
    try:
        return threads.get(tx, principal, thread_id)
    except NotFound as missing:
        raise Conflict(f"{missing}, so it cannot be copied") from missing


def _reserve(backend: Backend, thread_id: UUID) -> int:
    with backend.db.begin() as tx:
        return threads.reserve(tx, thread_id, seconds=_RESERVED_SECONDS)


def _head(told: dict[str, Any] | None) -> ThreadHead | None:
    return None if told is None else ThreadHead(told["values"], tuple(told["next"]), told["interrupts"])
