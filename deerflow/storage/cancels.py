"""Rows of runs that are told to stop: the durable mark of a cancel, and what a rollback leaves, which is nothing.

As in ``runs.py``, who changes a run and its thread takes the thread's lock first.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain import titles
from deerflow.domain.principal import Principal
from deerflow.domain.runs import INFLIGHT, Run
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import runs, threads
from deerflow.storage.runs import columns, inflight, lock_thread, record
from deerflow.storage.scope import within
from deerflow.storage.types import now

_IDS = ("graph_id", "assistant_id")
"""What a run writes into its thread's metadata when it is accepted."""


def mark_cancel(tx: Tx, run: Run, action: CancelAction) -> Run | None:
    """Write the durable mark of a cancel; the first one stays. None when the run is no longer in flight.

    A pending run that never started ends here, and with a rollback its row goes; every other one is ended by the
    worker that holds or claims it.
    """
    lock_thread(tx, run.thread_id)
    never_started = sa.and_(runs.c.status == RunStatus.PENDING, runs.c.attempt == 0)
    statement = (
        sa.update(runs)
        .where(runs.c.run_id == run.run_id, runs.c.status.in_(sorted(INFLIGHT)))
        .values(
            cancel_action=sa.func.coalesce(runs.c.cancel_action, action),
            status=sa.case((never_started, RunStatus.INTERRUPTED), else_=runs.c.status),
            ended_at=sa.case((never_started, now()), else_=runs.c.ended_at),
            updated_at=now(),
        )
        .returning(*columns)
    )
    row = tx.execute(statement).one_or_none()
    if row is None:
        return None
    marked = record(row)
    if marked.is_terminal and marked.is_rolled_back:
        tx.execute(sa.delete(runs).where(runs.c.run_id == run.run_id))
        _restore_thread(tx, marked)
    elif marked.is_terminal and not inflight(tx, run.thread_id):
        _rest(tx, run.thread_id, {})  # as the run before left it
    return marked


def roll_back(tx: Tx, run: Run) -> bool:
    """Remove a running run, and make its thread what it was; False when this attempt is over.

    Its checkpoints must be gone by now. Values, interrupts and error of the thread are still those from before: only
    the finish of a run writes them.
    """
    lock_thread(tx, run.thread_id)
    ours = (runs.c.run_id == run.run_id, runs.c.status == RunStatus.RUNNING, runs.c.attempt == run.attempt)
    if tx.execute(sa.delete(runs).where(*ours)).rowcount != 1:
        return False
    _restore_thread(tx, run)
    return True


def remove(tx: Tx, run_id: UUID) -> bool:
    """Delete the row of a run that has ended; one in flight stays. Whether there was one."""
    ended = (runs.c.run_id == run_id, runs.c.status.not_in(sorted(INFLIGHT)))
    return tx.execute(sa.delete(runs).where(*ended)).rowcount == 1


def inflight_of(tx: Tx, principal: Principal, statuses: Sequence[RunStatus], *, limit: int) -> list[Run]:
    """Runs of a caller that can still be cancelled and are not being cancelled, newest first."""
    query = sa.select(*columns).where(
        within(principal, runs), runs.c.status.in_(sorted(statuses)), runs.c.cancel_action.is_(None)
    )
    newest_first = query.order_by(runs.c.created_at.desc(), runs.c.run_id.desc())
    return [record(row) for row in tx.execute(newest_first.limit(limit))]


def _restore_thread(tx: Tx, run: Run) -> None:
    """Make a thread what it was before a run whose row has just gone.

    The next run that waits there was accepted behind it: it is now as if it had been accepted on the thread as it was,
    so it takes over what the rolled back run had kept of the thread.
    """
    waiting = inflight(tx, run.thread_id)
    before, title = run.thread_before, _title_without(tx, run, waiting)
    if not waiting:
        _rest(tx, run.thread_id, title if before is None else {**title, "metadata": _with_ids(tx, run, before)})
    elif before is not None and waiting[0].thread_before is None:
        heir = waiting[0]
        tx.execute(sa.update(runs).where(runs.c.run_id == heir.run_id).values(thread_before=before))
        ids = {"graph_id": heir.graph_id, "assistant_id": str(heir.assistant_id)}
        changed = {**title, "metadata": _with_ids(tx, run, ids), "updated_at": now()}
        tx.execute(sa.update(threads).where(threads.c.thread_id == run.thread_id).values(changed))


def _title_without(tx: Tx, run: Run, waiting: Sequence[Run]) -> dict[str, str | None]:
    """The title that is left when the question that gave it has been taken back: that of who asks next."""
    query = sa.select(threads.c.title, threads.c.metadata).where(threads.c.thread_id == run.thread_id)
    row, asked = tx.execute(query).one_or_none(), _asks(run)
    if row is None or asked is None or row.title != asked or titles.given(row.metadata):
        return {}
    return {"title": next(filter(None, map(_asks, waiting)), None)}


def _asks(run: Run) -> str | None:
    return titles.of_run(run.kwargs.get("input"), run.kwargs.get("command"))


def _with_ids(tx: Tx, run: Run, ids: dict[str, Any]) -> dict[str, Any]:
    """The thread's metadata with these ids for those that the run wrote; what else was changed meanwhile stays."""
    metadata = tx.scalar(sa.select(threads.c.metadata).where(threads.c.thread_id == run.thread_id)) or {}
    return {name: value for name, value in metadata.items() if name not in _IDS} | ids


def _rest(tx: Tx, thread_id: UUID, changed: dict[str, Any]) -> None:
    """No run is in flight: the thread has the status that the last finish left it."""
    values = {"status": threads.c.resting, "updated_at": now(), **changed}
    tx.execute(sa.update(threads).where(threads.c.thread_id == thread_id).values(values))
