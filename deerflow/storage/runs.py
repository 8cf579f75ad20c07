"""Rows of runs. A change of a run's state is one conditional UPDATE; its row count says who won.

What a caller sees takes the caller; what a worker or the clock does to a run (claim, renew, finish, release,
reap) takes the run alone, because the claim has already decided whose it is.

Who changes a run and its thread takes the thread's lock first: nobody waits in a circle (a deletion goes from the
thread to its runs), and the thread's status is decided by the runs that it has then.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.runs import INFLIGHT, Run
from deerflow.domain.threads import ThreadHead, resting_status
from deerflow.domain.words import CancelAction, MultitaskStrategy, RunStatus, ThreadStatus
from deerflow.errors import NotFound
from deerflow.storage import titles
from deerflow.storage.database import Tx
from deerflow.storage.models import runs, threads
from deerflow.storage.scope import scoped, seen_by, within
from deerflow.storage.types import now, unindexed

columns = [c for c in runs.c if c.name != "progressed"]
"""What a Run is made of."""
_inflight: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{status}'") for status in sorted(INFLIGHT)]
"""Spelled as in the condition of ``ix_runs_inflight``: SQLite uses it where it reads the same words."""
_other = runs.alias("other")  # made once: an alias copies every column
_RING_AGAIN_AFTER_SECONDS = 60.0


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
    .where(runs.c.thread_id == sa.bindparam("of_thread"), runs.c.status.in_(_inflight))
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
    return set(tx.scalars(sa.select(runs.c.run_id).where(runs.c.run_id.in_(run_ids), runs.c.status.in_(_inflight))))


def claim(tx: Tx, run_id: UUID, *, worker: str, task_id: str, lease: timedelta, crash_limit: int) -> Run | None:
    """Give a pending run to *worker*; None when it is not ours to take.

    Refused while the run is not due, its thread has a running run (the partial unique index guards that also against
    a race), or another one comes first. *lease*: time until the claim lapses unless renewed.
    A run that one more crash would end is refused by a worker that holds another such run (ADR 0007).
    """
    # Also locks the thread, so two claims of one thread come one after the other.
    token = tx.scalar(_RAISE_FENCE, {"claimed": run_id})
    if token is None:
        return None
    facts = {
        "claimed": run_id,
        "by": worker,
        "task": task_id,
        "token": token,
        "lease_seconds": lease.total_seconds(),
        "last_try": crash_limit - 1,
    }
    row = tx.execute(_CLAIM, facts).one_or_none()
    return record(row) if row else None


def claimed(tx: Tx, run_id: UUID, *, worker: str, task_id: str) -> Run | None:
    """The run that this task of *worker* has claimed, for who did not hear the answer; None when it has not."""
    ours = (runs.c.run_id == run_id, runs.c.status == RunStatus.RUNNING, runs.c.worker == worker)
    row = tx.execute(sa.select(*columns).where(*ours, runs.c.task_id == task_id)).one_or_none()
    return record(row) if row else None


def _in_the_way() -> sa.Exists:
    """Another run of the same thread is running, has begun and waits for a worker, or is older and due.

    One that has begun goes on before all others, also before an older one that was delayed and has become due: their
    checkpoints would stand between its own.
    """
    other = _other
    older = sa.and_(other.c.ordinal < runs.c.ordinal, other.c.run_at <= now())
    ahead = sa.and_(other.c.status == RunStatus.PENDING, runs.c.attempt == 0, sa.or_(other.c.attempt > 0, older))
    in_the_way = sa.or_(other.c.status == RunStatus.RUNNING, ahead)
    return sa.exists().where(other.c.thread_id == runs.c.thread_id, other.c.status.in_(_inflight), in_the_way)


def _safe_beside(worker: sa.BindParameter[str], last_try: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """The run is not at its last try, or *worker* holds no other run that is and has not yet got any further."""
    other = _other
    suspect = sa.exists().where(
        other.c.status == RunStatus.RUNNING,
        other.c.worker == worker,
        other.c.crashes >= last_try,
        other.c.crashes > 0,
        ~other.c.progressed,
    )
    return sa.or_(runs.c.crashes == 0, runs.c.crashes < last_try, ~suspect)


_RAISE_FENCE = (
    sa.update(threads)
    .where(
        threads.c.thread_id
        == sa.select(runs.c.thread_id).where(runs.c.run_id == sa.bindparam("claimed")).scalar_subquery()
    )
    .values(fence=threads.c.fence + 1)
    .returning(threads.c.fence)
)

_CLAIM = (
    sa.update(runs)
    .where(
        runs.c.run_id == sa.bindparam("claimed"),
        runs.c.status == RunStatus.PENDING,
        runs.c.run_at <= now(),
        ~_in_the_way(),
        _safe_beside(sa.bindparam("by", type_=sa.Text), sa.bindparam("last_try", type_=sa.Integer)),
    )
    .values(
        status=RunStatus.RUNNING,
        attempt=runs.c.attempt + 1,
        progressed=False,
        worker=sa.bindparam("by"),
        task_id=sa.bindparam("task"),
        lease_until=now(sa.bindparam("lease_seconds", type_=sa.Float)),
        fence=sa.bindparam("token"),
        started_at=sa.func.coalesce(runs.c.started_at, now()),
        updated_at=now(),
    )
    .returning(*columns)
)


def renew(
    tx: Tx, worker: str, said: Mapping[UUID, int], progressed: Sequence[UUID], *, lease: timedelta
) -> dict[UUID, tuple[int, CancelAction | None]]:
    """Renew the leases of all runs that *worker* holds, in one statement; run id -> (attempt, cancel mark).

    *said*: how far each run's log has come. *progressed*: the runs that stored a checkpoint. A run that is missing
    from the answer is no longer ours.
    """
    ids = list(said)
    statement = (
        sa.update(runs)
        .where(runs.c.run_id.in_(ids), runs.c.worker == worker, runs.c.status == RunStatus.RUNNING)
        .values(
            lease_until=now(lease.total_seconds()),
            events_upto=sa.case(dict(said), value=runs.c.run_id, else_=runs.c.events_upto),
            progressed=sa.or_(runs.c.progressed, runs.c.run_id.in_(list(progressed))),
        )
        .returning(runs.c.run_id, runs.c.attempt, runs.c.cancel_action)
    )
    return {
        row.run_id: (row.attempt, CancelAction(row.cancel_action) if row.cancel_action else None)
        for row in tx.execute(statement)
    }


def finish(
    tx: Tx,
    run: Run,
    *,
    status: RunStatus,
    error: dict[str, Any] | None,
    head: ThreadHead | None,
    thread_error: dict[str, Any] | None,
    events_upto: int,
) -> bool:
    """End a run and write what it leaves on its thread; False when this attempt is over, or a cancel came first.

    *head*: the state after the run; None leaves the thread's values as they were. Whoever has written the mark of
    a cancel was told that the run will stop, so from then on it ends as interrupted only (ADR 0009).
    """
    lock_thread(tx, run.thread_id)
    facts = {
        "ended": run.run_id,
        "of_attempt": run.attempt,
        "how": status,
        "why": error,
        "last_place": events_upto,
        "even_if_marked": status is RunStatus.INTERRUPTED,
    }
    if tx.execute(_FINISH, facts).rowcount != 1:
        return False
    failed = status in (RunStatus.ERROR, RunStatus.TIMEOUT)
    _settle_thread(tx, run.thread_id, head, failed=failed, error=thread_error)
    return True


_FINISH = (
    sa.update(runs)
    .where(
        runs.c.run_id == sa.bindparam("ended"),
        runs.c.status == RunStatus.RUNNING,
        runs.c.attempt == sa.bindparam("of_attempt"),
        sa.or_(runs.c.cancel_action.is_(None), sa.bindparam("even_if_marked", type_=sa.Boolean)),
    )
    .values(
        status=sa.bindparam("how"),
        error=sa.bindparam("why"),
        worker=None,
        lease_until=None,
        events_upto=sa.bindparam("last_place"),
        ended_at=now(),
        updated_at=now(),
    )
)


def lock_thread(tx: Tx, thread_id: UUID) -> None:
    """Hold the thread until the transaction ends; who changes a run and its thread does this first."""
    tx.execute(_LOCK_THREAD, {"of_thread": thread_id})


_LOCK_THREAD = sa.select(threads.c.thread_id).where(threads.c.thread_id == sa.bindparam("of_thread")).with_for_update()


def _settle_thread(
    tx: Tx, thread_id: UUID, head: ThreadHead | None, *, failed: bool, error: dict[str, Any] | None
) -> None:
    resting = resting_status(head, failed=failed)
    facts = {
        "of_thread": thread_id,
        "how": ThreadStatus.BUSY if tx.scalar(_ANY_INFLIGHT, {"of_thread": thread_id}) else resting,
        "at_rest": resting,
        "why": error,
    }
    if head is None:
        tx.execute(_SETTLE, facts)
    else:
        title = titles.left_by(tx, thread_id, head.values)
        tx.execute(_SETTLE_WITH_HEAD, {**facts, **title, "left": head.values, "asked": head.interrupts})


_ANY_INFLIGHT = sa.select(
    sa.exists().where(runs.c.thread_id == sa.bindparam("of_thread"), runs.c.status.in_(_inflight))
)
_SETTLE = (
    sa.update(threads)
    .where(threads.c.thread_id == sa.bindparam("of_thread"))
    .values(status=sa.bindparam("how"), resting=sa.bindparam("at_rest"), error=sa.bindparam("why"), updated_at=now())
)
_SETTLE_WITH_HEAD = _SETTLE.values(
    values=sa.bindparam("left"), interrupts=sa.bindparam("asked"), title=titles.TITLE, state_updated_at=now()
)


def release(tx: Tx, run: Run, *, events_upto: int) -> bool:
    """Hand a running run back, so that another worker resumes it; charges nothing."""
    ours = (runs.c.run_id == run.run_id, runs.c.status == RunStatus.RUNNING, runs.c.attempt == run.attempt)
    back = {
        "status": RunStatus.PENDING,
        "worker": None,
        "lease_until": None,
        "rung_at": None,
        "lost_at": None,
        "updated_at": now(),
    }
    return tx.execute(sa.update(runs).where(*ours).values(back | {"events_upto": events_upto})).rowcount == 1


def bury(tx: Tx, worker: str) -> int:
    """End the leases of a worker that is known to be dead, so that nobody waits for them; how many there were."""
    held = sa.update(runs).where(runs.c.worker == worker, runs.c.status == RunStatus.RUNNING)
    return tx.execute(held.values(lease_until=now())).rowcount


def reap(tx: Tx, *, crash_limit: int) -> list[Run]:
    """Take runs whose lease has lapsed from their workers; the runs as they are now, pending or ended as error.

    A lapse without a new checkpoint since the claim is a crash; at *crash_limit* of them the run ends, unless a
    cancel waits for a worker to finish it. Rows that someone else is changing are left to the next sweep: a renewal
    wins.
    """
    lapsed = (runs.c.status == RunStatus.RUNNING, runs.c.lease_until < now())
    locked = sa.select(runs.c.run_id).join(threads, threads.c.thread_id == runs.c.thread_id).where(*lapsed)
    ids = list(tx.scalars(locked.with_for_update(skip_locked=True)))
    crashes = runs.c.crashes + sa.case((runs.c.progressed, 0), else_=1)
    given_up = sa.and_(crashes >= crash_limit, runs.c.cancel_action.is_(None))
    reason = {
        "error": "WorkerLost",
        "message": f"The worker was lost {crash_limit} times in a row before the run reached a new checkpoint.",
    }
    statement = (
        sa.update(runs)
        .where(runs.c.run_id.in_(ids), *lapsed)
        .values(
            status=sa.case((given_up, RunStatus.ERROR), else_=RunStatus.PENDING),
            error=sa.case((given_up, sa.literal(reason, runs.c.error.type)), else_=sa.null()),
            ended_at=sa.case((given_up, now()), else_=sa.null()),
            crashes=crashes,
            lost_at=now(),
            worker=None,
            lease_until=None,
            rung_at=None,
            updated_at=now(),
        )
        .returning(*columns)
    )
    reaped = [record(row) for row in tx.execute(statement)]
    for run in reaped:
        if run.is_terminal:
            _settle_thread(tx, run.thread_id, None, failed=True, error=run.error)
    return reaped


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
        .where(runs.c.status.in_(_inflight), runs.c.status == RunStatus.PENDING)
        .where(runs.c.run_at <= now(), quiet, ~_in_the_way())
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


def record(row: sa.Row[Any]) -> Run:
    """The run that a row of ``columns`` tells of."""
    values = dict(row._mapping)
    values["status"] = RunStatus(values["status"])
    values["multitask_strategy"] = MultitaskStrategy(values["multitask_strategy"])
    values["cancel_action"] = CancelAction(values["cancel_action"]) if values["cancel_action"] else None
    return Run(**values)
