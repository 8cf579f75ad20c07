"""Rows of crons. Every read takes the caller, but the clock's: it looks after everybody's."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter

from deerflow.domain.crons import Cron, CronFilter, next_run
from deerflow.domain.principal import Principal
from deerflow.domain.runs import RunSpec
from deerflow.domain.words import OnCompletion
from deerflow.errors import Invalid, NotFound
from deerflow.storage.database import Tx
from deerflow.storage.models import crons, threads
from deerflow.storage.scope import within
from deerflow.storage.types import contains, now

log = logging.getLogger(__name__)

_WHEN = frozenset({"schedule", "timezone", "end_time", "enabled"})
"""What the next run's time depends on."""
_SPEC = TypeAdapter(RunSpec)
_clock = sa.select(now())


@dataclass(frozen=True)
class Due:
    """A cron that is due, and when that was."""

    cron_id: UUID
    thread_id: UUID | None
    at: datetime


def create(tx: Tx, principal: Principal, values: dict[str, Any]) -> Cron:
    """Add a cron of this caller; *values*: the columns of a Cron but owner, user, and times.

    Invalid for a schedule or zone that is none, NotFound when its thread or assistant has just been deleted.
    """
    row = _row(values) | {"owner": principal.user_id, "user": principal.user, "next_run_at": _next(tx, values)}
    try:
        with tx.begin_nested():
            return _record(tx.execute(sa.insert(crons).values(row).returning(crons)).one())
    except sa.exc.IntegrityError as error:
        raise NotFound("Thread or assistant not found.") from error


def get(tx: Tx, principal: Principal, cron_id: UUID) -> Cron:
    """One cron; NotFound when there is none that this caller may see."""
    return _found(tx, sa.select(crons).where(crons.c.cron_id == cron_id, within(principal, crons)))


def lock(tx: Tx, principal: Principal, cron_id: UUID) -> Cron:
    """The same, held until the transaction ends."""
    query = sa.select(crons).where(crons.c.cron_id == cron_id, within(principal, crons))
    return _found(tx, query.with_for_update())


def change(tx: Tx, principal: Principal, cron: Cron, values: dict[str, Any]) -> Cron:
    """Change columns of a cron that this transaction has locked; a change of its times counts from now."""
    row = _row(values)
    if values.keys() & _WHEN:
        row["next_run_at"] = _next(tx, {name: getattr(cron, name) for name in _WHEN} | values)
    theirs = (crons.c.cron_id == cron.cron_id, within(principal, crons))
    statement = sa.update(crons).where(*theirs).values(row | {"updated_at": now()})
    return _record(tx.execute(statement.returning(crons)).one())


def search(
    tx: Tx, principal: Principal, wanted: CronFilter, *, sort_by: str, descending: bool, limit: int, offset: int
) -> list[Cron]:
    """A page of crons; *sort_by* is a column, rows without a value come last."""
    column = crons.c[sort_by]
    order = [column.is_(None), column.desc() if descending else column]
    order.append(crons.c.cron_id.desc() if descending else crons.c.cron_id)
    query = sa.select(crons).where(*_wanted(principal, wanted)).order_by(*order)
    return [_record(row) for row in tx.execute(query.limit(limit).offset(offset))]


def count(tx: Tx, principal: Principal, wanted: CronFilter) -> int:
    """How many crons there are of a kind."""
    return tx.scalar(sa.select(sa.func.count()).select_from(crons).where(*_wanted(principal, wanted))) or 0


def delete(tx: Tx, principal: Principal, cron_id: UUID) -> None:
    """Remove a cron; its runs stay. NotFound when there is none that this caller may see."""
    theirs = (crons.c.cron_id == cron_id, within(principal, crons))
    if not tx.execute(sa.delete(crons).where(*theirs)).rowcount:
        raise NotFound("Cron not found")


def due(tx: Tx, *, limit: int) -> list[Due]:
    """Crons whose time has come, the longest due first."""
    ready = (crons.c.enabled, crons.c.next_run_at.is_not(None), crons.c.next_run_at <= now())
    query = sa.select(crons.c.cron_id, crons.c.thread_id, crons.c.next_run_at).where(*ready)
    return [Due(*row) for row in tx.execute(query.order_by(crons.c.next_run_at).limit(limit))]


def take(tx: Tx, found: Due) -> Cron | None:
    """Move a due cron ahead for who is about to create its run; None when somebody else has, or it was changed.

    What was missed is made up for once: the next run is the first after this moment. One that is over by now has no
    run any more, and is None as well.
    """
    if found.thread_id is not None:  # who changes a thread takes its lock first: see runs.py
        tx.execute(sa.select(threads.c.thread_id).where(threads.c.thread_id == found.thread_id).with_for_update())
    same = (crons.c.cron_id == found.cron_id, crons.c.next_run_at == found.at, crons.c.enabled)
    row = tx.execute(sa.select(crons).where(*same).with_for_update()).one_or_none()
    if row is None:
        return None
    cron, at = _record(row), max(_now(tx), found.at)
    moved = tx.execute(sa.update(crons).where(*same).values(next_run_at=_ahead(cron, at))).rowcount
    is_over = cron.end_time is not None and at > cron.end_time
    return cron if moved and not is_over else None


def _ahead(cron: Cron, at: datetime) -> datetime | None:
    """When a cron is due after *at*; never again when its zone has gone from the tables of zones."""
    try:
        return next_run(cron.schedule, cron.timezone, after=at, end_time=cron.end_time, enabled=True)
    except Invalid:
        log.exception("Cron stopped", extra={"cron_id": cron.cron_id})
        return None


def _next(tx: Tx, values: dict[str, Any]) -> datetime | None:
    return next_run(**{name: values[name] for name in _WHEN}, after=_now(tx))


def _now(tx: Tx) -> datetime:
    """The database's clock, by which crons are due: no two machines have the same."""
    found: datetime = tx.execute(_clock).scalar_one()
    return found


def _wanted(principal: Principal, wanted: CronFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [within(principal, crons)]
    same = {"assistant_id": wanted.assistant_id, "thread_id": wanted.thread_id, "enabled": wanted.enabled}
    found += [crons.c[name] == value for name, value in same.items() if value is not None]
    if wanted.metadata:
        found.append(contains(crons.c.metadata, wanted.metadata))
    return found


def _row(values: dict[str, Any]) -> dict[str, Any]:
    spec = {"spec": _SPEC.dump_python(values["spec"], mode="json")} if "spec" in values else {}
    return values | spec


def _found(tx: Tx, query: sa.Select[Any]) -> Cron:
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound("Cron not found")
    return _record(row)


def _record(row: sa.Row[Any]) -> Cron:
    values = dict(row._mapping)
    kept = values["on_run_completed"]
    values |= {"spec": _SPEC.validate_python(values["spec"]), "on_run_completed": kept and OnCompletion(kept)}
    return Cron(**values)
