"""Rows of runs: as they are made, and as callers and workers read them. What workers do to them is in ``leases``.

What a caller sees takes the caller; what a worker or the clock looks at takes the run alone, because the claim has
already decided whose it is.

Who changes a run and its thread takes the thread's lock first: nobody waits in a circle (a deletion goes from the
thread to its runs), and the thread's status is decided by the runs that it has then.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.runs import INFLIGHT, Run
from deerflow.domain.words import CancelAction, MultitaskStrategy, RunStatus
from deerflow.errors import NotFound
from deerflow.storage.database import Tx
from deerflow.storage.models import runs, threads
from deerflow.storage.scope import scoped, seen_by, within
from deerflow.storage.types import now, unindexed

columns = [c for c in runs.c if c.name not in {"progressed", "traceback"}]
"""What a Run is made of. A traceback is large, and nothing for whoever may read a run."""
INFLIGHT_IN_SQL: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{status}'") for status in sorted(INFLIGHT)]
"""Spelled as in the condition of ``ix_runs_inflight``: SQLite uses it where it reads the same words."""


def insert(tx: Tx, values: dict[str, Any], *, rung: bool, after_seconds: float = 0.0) -> Run:
    """Add a pending run; its thread must be locked by this transaction.

    *rung*: its first ring follows the commit. *after_seconds*: it may not start before.
    """
    fixed: dict[str, Any] = {
        "status": RunStatus.PENDING,
        "after_seconds": after_seconds,
        "attempt": 0,
        "crashes": 0,
        "progressed": False,
        "events_upto": 0,
        "fence": 0,
    }
    fixed["rings"] = 1 if rung else 0
    return record(tx.execute(_INSERT_RUNG if rung else _INSERT, {**fixed, **values}).one())


# Statements that every run needs are built once: building one costs several times what SQLite takes to execute it.
_INSERT = sa.insert(runs).values(run_at=now(sa.bindparam("after_seconds", type_=sa.Float))).returning(*columns)
_INSERT_RUNG = _INSERT.values(rung_at=now())


def get(tx: Tx, principal: Principal, thread_id: UUID, run_id: UUID) -> Run:
    """One run of one thread; NotFound when there is none that this caller owns."""
    row = seen_by(tx, principal, _GET, of=run_id, of_thread=thread_id).one_or_none()
    if row is None:
        raise NotFound("Run not found")
    return record(row)


_GET = scoped(
    runs,
    sa.select(*columns).where(runs.c.run_id == sa.bindparam("of"), runs.c.thread_id == sa.bindparam("of_thread")),
)


def get_alone(tx: Tx, principal: Principal, run_id: UUID) -> Run:
    """One run by its id, whatever its thread; NotFound when there is none that this caller owns."""
    query = sa.select(*columns).where(runs.c.run_id == run_id, within(principal, runs))
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound("Run not found")
    return record(row)


def find_traceback(tx: Tx, principal: Principal, run_id: UUID) -> str | None:
    """Where in the code a run failed, for an administrator who sees the run; None when nothing is kept of that."""
    return tx.scalar(sa.select(runs.c.traceback).where(runs.c.run_id == run_id, within(principal, runs)))


def thread_of(tx: Tx, run_id: UUID) -> UUID | None:
    """The thread that a run is of, whoever owns it; None when there is no such run."""
    return tx.scalar(sa.select(runs.c.thread_id).where(runs.c.run_id == run_id))


def page(tx: Tx, principal: Principal, thread_id: UUID, *, status: str | None, limit: int, offset: int) -> list[Run]:
    """A thread's runs, newest first."""
    query = sa.select(*columns).where(runs.c.thread_id == thread_id, within(principal, runs))
    if status is not None:
        query = query.where(runs.c.status == status)
    query = query.order_by(runs.c.ordinal.desc()).limit(limit).offset(offset)
    return [record(row) for row in tx.execute(query)]


def inflight(tx: Tx, thread_id: UUID) -> list[Run]:
    """The pending and running runs of a thread, oldest first."""
    return [record(row) for row in tx.execute(_INFLIGHT, {"of_thread": thread_id})]


_INFLIGHT = (
    sa.select(*columns)
    .where(runs.c.thread_id == sa.bindparam("of_thread"), runs.c.status.in_(INFLIGHT_IN_SQL))
    .order_by(unindexed(runs.c.ordinal))
)


def ids(tx: Tx, thread_id: UUID) -> list[UUID]:
    """All runs of a thread."""
    return list(tx.scalars(sa.select(runs.c.run_id).where(runs.c.thread_id == thread_id)))


def peek(tx: Tx, run_id: UUID) -> Run | None:
    """The row as it is now, for code that already holds the run; None when it was deleted."""
    row = tx.execute(sa.select(*columns).where(runs.c.run_id == run_id)).one_or_none()
    return record(row) if row else None


def still_inflight(tx: Tx, run_ids: Collection[UUID]) -> set[UUID]:
    """Which of these runs are pending or running."""
    return set(
        tx.scalars(sa.select(runs.c.run_id).where(runs.c.run_id.in_(run_ids), runs.c.status.in_(INFLIGHT_IN_SQL)))
    )


def lock_thread(tx: Tx, thread_id: UUID) -> None:
    """Hold the thread until the transaction ends; who changes a run and its thread does this first."""
    tx.execute(_LOCK_THREAD, {"of_thread": thread_id})


_LOCK_THREAD = sa.select(threads.c.thread_id).where(threads.c.thread_id == sa.bindparam("of_thread")).with_for_update()


def record(row: sa.Row[Any]) -> Run:
    """The run that a row of ``columns`` tells of."""
    values = dict(row._mapping)
    values["status"] = RunStatus(values["status"])
    values["multitask_strategy"] = MultitaskStrategy(values["multitask_strategy"])
    values["cancel_action"] = CancelAction(values["cancel_action"]) if values["cancel_action"] else None
    return Run(**values)
