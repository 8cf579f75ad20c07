"""A thread's runs as those need to know them who follow the thread: little of each, and only what may be told."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.runs import INFLIGHT
from deerflow.domain.turns import Turn
from deerflow.domain.words import RunStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import runs, threads
from deerflow.storage.scope import within
from deerflow.storage.types import now

_columns = [getattr(runs.c, name) for name in Turn.__dataclass_fields__]


def after(
    tx: Tx, principal: Principal, thread_id: UUID, ordinal: int, *, kept_seconds: float, limit: int
) -> list[Turn]:
    """The runs of a thread behind a number, in order; those that ended longer ago than *kept_seconds* are left out."""
    kept = sa.or_(runs.c.status.in_(sorted(INFLIGHT)), runs.c.updated_at > now(-kept_seconds))
    behind = (runs.c.thread_id == thread_id, runs.c.ordinal > ordinal, kept, within(principal, runs))
    query = sa.select(*_columns).where(*behind).order_by(runs.c.ordinal).limit(limit)
    return [_record(row) for row in tx.execute(query)]


def these(tx: Tx, principal: Principal, run_ids: Collection[UUID]) -> dict[UUID, Turn]:
    """These runs as they are now; those that have no row any more are missing."""
    query = sa.select(*_columns).where(runs.c.run_id.in_(run_ids), within(principal, runs))
    return {row.run_id: _record(row) for row in tx.execute(query)}


def last_ordinals(tx: Tx, thread_ids: Collection[UUID]) -> dict[UUID, int]:
    """The number of each thread's newest run."""
    query = sa.select(threads.c.thread_id, threads.c.last_ordinal).where(threads.c.thread_id.in_(thread_ids))
    return {row.thread_id: row.last_ordinal for row in tx.execute(query)}


def _record(row: sa.Row[Any]) -> Turn:
    return Turn(**{**row._mapping, "status": RunStatus(row.status)})
