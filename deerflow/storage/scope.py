"""What a caller may see: the one place that says so in SQL, for every statement that reads users' things.

Usually that is what the caller owns, and of assistants the system's too. Where a handler of the project has answered
with a filter it is what the filter matches instead, whoever owns it (ADR 0015); a run is matched by its thread.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deerflow.domain.principal import SYSTEM, Principal
from deerflow.storage.database import Tx
from deerflow.storage.models import assistants, crons, runs, thread_labels, threads
from deerflow.storage.types import contains

_RESOURCES = {threads: "threads", thread_labels: "threads", runs: "threads", assistants: "assistants", crons: "crons"}
"""The resource whose filter says what is seen of a table."""


def within(principal: Principal, table: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that a caller sees a row of this table."""
    wanted = filter_of(principal, table)
    if wanted is None:
        return _owned(principal, table)
    if table is runs:
        matching = contains(threads.c.metadata, wanted)
        return sa.exists().where(threads.c.thread_id == runs.c.thread_id, matching).correlate(runs)
    return contains(table.c.metadata, wanted)


def _owned(principal: Principal, table: sa.Table) -> sa.ColumnElement[bool]:
    if table is assistants:
        return table.c.owner.in_([principal.user_id, SYSTEM])
    return table.c.owner == principal.user_id


def filter_of(principal: Principal, table: sa.Table) -> dict[str, Any] | None:
    """What a handler of the project has answered instead of the owner; None when it has not."""
    return principal.filters.get(_RESOURCES[table])


@dataclass(frozen=True)
class Scoped:
    """A query built once for owners: building one costs several times what SQLite takes to execute it."""

    table: sa.Table
    whole: sa.Select[Any]
    owned: sa.Select[Any]


def scoped(table: sa.Table, query: sa.Select[Any]) -> Scoped:
    """A query with bound parameters of its own, to be asked for one caller or another."""
    return Scoped(table, query, query.where(table.c.owner == sa.bindparam("caller")))


def seen_by(tx: Tx, principal: Principal, query: Scoped, **parameters: Any) -> sa.CursorResult[Any]:
    """The rows of a query that this caller may see."""
    if filter_of(principal, query.table) is None:
        return tx.execute(query.owned, {**parameters, "caller": principal.user_id})
    return tx.execute(query.whole.where(within(principal, query.table)), parameters)
