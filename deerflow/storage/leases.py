"""Runs in the hands of workers: claimed, renewed, finished, released, and taken from those that are dead.

Each is one conditional UPDATE, whose row count says who won. It takes the run alone, because the claim has already
decided whose it is.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead, resting_status
from deerflow.domain.words import CancelAction, RunStatus, ThreadStatus
from deerflow.storage import titles
from deerflow.storage.database import Tx
from deerflow.storage.models import runs, threads
from deerflow.storage.rings import in_the_way, other_runs
from deerflow.storage.runs import INFLIGHT_IN_SQL, columns, lock_thread, record
from deerflow.storage.types import now


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


def _safe_beside(worker: sa.BindParameter[str], last_try: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """The run is not at its last try, or *worker* holds no other run that is and has not yet got any further."""
    other = other_runs
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
        ~in_the_way(),
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
    traceback: str | None = None,
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
        "where_in_code": traceback,
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
        traceback=sa.bindparam("where_in_code"),
        worker=None,
        lease_until=None,
        events_upto=sa.bindparam("last_place"),
        ended_at=now(),
        updated_at=now(),
    )
)


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
    sa.exists().where(runs.c.thread_id == sa.bindparam("of_thread"), runs.c.status.in_(INFLIGHT_IN_SQL))
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
