"""Pages and counts of a caller's runs over all threads, newest first.

First it is decided which runs, by indexes alone; then the rows of the page are read, without what can be large (input,
config). What a run asks is known of its thread: the last run that was begun on a thread that waits for an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.run_list import Queued, RunLine, RunWanted
from deerflow.domain.runs import INFLIGHT
from deerflow.domain.words import CancelAction, RunStatus, ThreadStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import api_keys, assistants, runs, threads
from deerflow.storage.scope import within
from deerflow.storage.types import unindexed

_PLAIN = [
    runs.c[name]
    for name in RunLine.__dataclass_fields__
    if name not in {"agent", "title", "asks", "error_name", "key_name", "cron_id"}
]
_QUEUED = [runs.c[name] for name in Queued.__dataclass_fields__]


def page(tx: Tx, principal: Principal, wanted: RunWanted, *, limit: int, offset: int) -> list[RunLine]:
    """Some of the caller's runs, newest first."""
    keys = (runs.c.created_at, runs.c.run_id)
    newest = [(unindexed(key) if _are_few(wanted) else key).desc() for key in keys]
    ids = sa.select(runs.c.run_id).where(*_conditions(principal, wanted)).order_by(*newest).limit(limit).offset(offset)
    return _lines(tx, list(tx.scalars(ids)), principal)


def counts(tx: Tx, principal: Principal, wanted: RunWanted) -> Mapping[RunStatus, int]:
    """How many there are of each status."""
    query = sa.select(runs.c.status, sa.func.count()).where(*_conditions(principal, wanted)).group_by(runs.c.status)
    return {RunStatus(status): number for status, number in tx.execute(query)}


def line(tx: Tx, principal: Principal, run_id: UUID) -> RunLine | None:
    """The line of one run; None when there is none that this caller sees."""
    return next(iter(_lines(tx, [run_id], principal)), None)


def inflight(tx: Tx, principal: Principal, thread_id: UUID) -> list[Queued]:
    """The runs of a thread that wait or run, oldest first."""
    statuses = runs.c.status.in_(sorted(INFLIGHT))
    query = sa.select(*_QUEUED).where(runs.c.thread_id == thread_id, statuses, unindexed(within(principal, runs)))
    found = [Queued(**{**row._mapping, "status": RunStatus(row.status)}) for row in tx.execute(query)]
    return sorted(found, key=lambda each: each.ordinal)


def _conditions(principal: Principal, wanted: RunWanted) -> list[sa.ColumnElement[bool]]:
    found = [within(principal, runs)]
    if wanted.statuses:
        found.append(runs.c.status.in_(sorted(wanted.statuses)))
    if _are_few(wanted):
        found = [unindexed(each) for each in found]
    if wanted.asks is not None:
        asking = runs.c.run_id.in_(_asking(principal))
        found.append(asking if wanted.asks else ~asking)
    if wanted.assistant_id is not None:
        found.append(runs.c.assistant_id == wanted.assistant_id)
    if wanted.thread_id is not None:
        found.append(runs.c.thread_id == wanted.thread_id)
    if wanted.since is not None:
        found.append(runs.c.created_at >= wanted.since)
    return found


def _are_few(wanted: RunWanted) -> bool:
    """Whether they are a thread's, or those that ask: fewer than all of a caller's, and found by that."""
    return wanted.thread_id is not None or wanted.asks is True


def _asks(run: sa.FromClause) -> sa.ColumnElement[bool]:
    """The thread that is joined with a run waits for an answer to what that run has asked."""
    asked = sa.and_(threads.c.interrupts.is_not(None), sa.cast(threads.c.interrupts, sa.Text) != "{}")
    return sa.and_(
        threads.c.status == ThreadStatus.INTERRUPTED,
        asked,
        run.c.status == RunStatus.SUCCESS,
        run.c.ordinal == _LAST_BEGUN,
    )


_begun = runs.alias("begun")
_LAST_BEGUN = (
    sa.select(_begun.c.ordinal)
    .where(_begun.c.thread_id == threads.c.thread_id, _begun.c.attempt > 0)
    .order_by(_begun.c.ordinal.desc())
    .limit(1)
    .correlate(threads)
    .scalar_subquery()
)
"""The number of the last run of a thread that has begun: one that was stopped before has answered nothing."""


def _asking(principal: Principal) -> sa.Select[Any]:
    """The ids of all runs of the caller's that ask. Few threads wait, and they are found by their status."""
    run = runs.alias("asking")
    last = sa.and_(run.c.thread_id == threads.c.thread_id, run.c.ordinal == _LAST_BEGUN)
    return sa.select(run.c.run_id).select_from(threads.join(run, last)).where(within(principal, threads), _asks(run))


def _lines(tx: Tx, ids: Sequence[UUID], principal: Principal) -> list[RunLine]:
    """The lines of these runs, in this order; one that has gone meanwhile is left out."""
    own_key = sa.and_(api_keys.c.key_id == runs.c.key_id, runs.c.owner == principal.user_id)
    query: sa.Select[Any] = (
        sa.select(
            *_PLAIN,
            assistants.c.name.label("agent"),
            threads.c.title,
            _asks(runs).label("asks"),
            runs.c.error["error"].as_string().label("error_name"),
            api_keys.c.name.label("key_name"),
            runs.c.metadata["cron_id"].as_string().label("cron_id"),
        )
        .select_from(
            runs.join(threads, threads.c.thread_id == runs.c.thread_id)
            .outerjoin(assistants, assistants.c.assistant_id == runs.c.assistant_id)
            .outerjoin(api_keys, own_key)
        )
        .where(runs.c.run_id.in_(ids), unindexed(within(principal, runs)))
    )
    found = {row.run_id: _record(row) for row in tx.execute(query)} if ids else {}
    return [found[run_id] for run_id in ids if run_id in found]


def _record(row: sa.Row[Any]) -> RunLine:
    action = row.cancel_action
    read = {"status": RunStatus(row.status), "asks": bool(row.asks)}
    return RunLine(**{**row._mapping, **read, "cancel_action": CancelAction(action) if action else None})
