"""Threads that wait for a person, and what was answered on them.

A thread waits when its last run has left questions (``interrupts``) and nothing has been started since. One that was
stopped has none. ``ix_threads_waiting`` holds those alone, so to count them costs nothing, however many threads there
are.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.threads import Thread
from deerflow.domain.words import RunStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import WAITING, runs, threads
from deerflow.storage.scope import scoped, seen_by, within
from deerflow.storage.threads import columns, record

_LOOKED_AT = 100


@dataclass(frozen=True)
class Answered:
    """A run that went on with an answer: by whom it was started, when, with what, and what became of it."""

    run_id: UUID
    owner: str
    key_id: UUID | None
    user: dict[str, Any] | None
    resume: Any
    status: RunStatus
    created_at: datetime


def count(tx: Tx, principal: Principal, *, most: int) -> int:
    """How many of the caller's threads wait for a person; beyond *most* it is not counted any further."""
    some = sa.select(threads.c.thread_id).where(within(principal, threads), sa.text(WAITING)).limit(most)
    return tx.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0


def page(tx: Tx, principal: Principal, *, limit: int, offset: int = 0) -> list[Thread]:
    """The caller's threads that wait for a person, the latest question first; without their values and questions."""
    return [record(row) for row in seen_by(tx, principal, _PAGE, most=limit, first=offset)]


def asked(tx: Tx, principal: Principal, thread_id: UUID) -> dict[str, Any] | None:
    """The questions of a thread. They may be large; they are others as soon as ``state_updated_at`` is another."""
    return seen_by(tx, principal, _ASKED, thread_id=thread_id).scalar()


def answered(tx: Tx, principal: Principal, thread_id: UUID, *, limit: int) -> list[Answered]:
    """Who answered what on a thread, newest first, as far as its last hundred runs tell."""
    told = {"command": runs.c.kwargs["command"], "user": runs.c.kwargs["user"]}
    names = ("run_id", "owner", "key_id", "status", "created_at")
    query = sa.select(*(runs.c[name] for name in names), *(each.label(name) for name, each in told.items()))
    query = query.where(runs.c.thread_id == thread_id, within(principal, runs))
    rows = tx.execute(query.order_by(runs.c.ordinal.desc()).limit(_LOOKED_AT))
    found = [_answered(row) for row in rows if isinstance(row.command, dict) and row.command.get("resume") is not None]
    return found[:limit]


def _answered(row: sa.Row[Any]) -> Answered:
    facts = {name: getattr(row, name) for name in ("run_id", "owner", "key_id", "user", "created_at")}
    return Answered(**facts, status=RunStatus(row.status), resume=row.command["resume"])


_LARGE = {"values", "interrupts"}
_ASKED = scoped(threads, sa.select(threads.c.interrupts).where(threads.c.thread_id == sa.bindparam("thread_id")))
_PAGE = scoped(
    threads,
    sa.select(*(sa.null().label(c.name) if c.name in _LARGE else c for c in columns))
    .where(sa.text(WAITING))
    .order_by(threads.c.state_updated_at.desc(), threads.c.thread_id.desc())
    .limit(sa.bindparam("most"))
    .offset(sa.bindparam("first")),
)
