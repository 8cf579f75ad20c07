"""Which runs are to be rung, and the numbers of their rings: a ring tells the workers that a run can be claimed."""

from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.runs import Run
from deerflow.domain.words import RunStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import runs
from deerflow.storage.runs import INFLIGHT_IN_SQL, columns, record
from deerflow.storage.types import now

other_runs = runs.alias("other")  # made once: an alias copies every column
_RING_AGAIN_AFTER_SECONDS = 60.0


def ring(tx: Tx, run_id: UUID) -> Run | None:
    """Number the next ring of a pending run; None when it is not pending any more."""
    statement = (
        sa.update(runs)
        .where(runs.c.run_id == run_id, runs.c.status == RunStatus.PENDING)
        .values(rings=runs.c.rings + 1, rung_at=now())
    )
    row = tx.execute(statement.returning(*columns)).one_or_none()
    return record(row) if row else None


def unring(tx: Tx, run: Run) -> None:
    """Note that the last ring could not be sent, so the clock rings soon instead of in a minute."""
    tx.execute(sa.update(runs).where(runs.c.run_id == run.run_id, runs.c.rings == run.rings).values(rung_at=None))


def unrung(tx: Tx, *, limit: int, quiet_seconds: float = _RING_AGAIN_AFTER_SECONDS) -> list[UUID]:
    """Pending runs that need a ring: due, first of their thread, nothing running there, not rung for a minute."""
    quiet = sa.or_(runs.c.rung_at.is_(None), runs.c.rung_at < now(-quiet_seconds))
    query = (
        sa.select(runs.c.run_id)
        .where(runs.c.status.in_(INFLIGHT_IN_SQL), runs.c.status == RunStatus.PENDING)
        .where(runs.c.run_at <= now(), quiet, ~in_the_way())
        .order_by(runs.c.run_at, runs.c.ordinal)
        .limit(limit)
    )
    return list(tx.scalars(query))


def next_of_thread(tx: Tx, thread_id: UUID) -> UUID | None:
    """The run that may start now that its thread has become free."""
    return tx.scalar(_NEXT_OF_THREAD, {"of_thread": thread_id})


_NEXT_OF_THREAD = (
    sa.select(runs.c.run_id)
    .where(runs.c.thread_id == sa.bindparam("of_thread"), runs.c.status == RunStatus.PENDING, runs.c.run_at <= now())
    .order_by(runs.c.attempt == 0, runs.c.ordinal)
    .limit(1)
)


def in_the_way() -> sa.Exists:
    """Another run of the same thread is running, has begun and waits for a worker, or is older and due.

    One that has begun goes on before all others, also before an older one that was delayed and has become due: their
    checkpoints would stand between its own.
    """
    other = other_runs
    older = sa.and_(other.c.ordinal < runs.c.ordinal, other.c.run_at <= now())
    ahead = sa.and_(other.c.status == RunStatus.PENDING, runs.c.attempt == 0, sa.or_(other.c.attempt > 0, older))
    first = sa.or_(other.c.status == RunStatus.RUNNING, ahead)
    return sa.exists().where(other.c.thread_id == runs.c.thread_id, other.c.status.in_(INFLIGHT_IN_SQL), first)
