"""Threads as lists show them. Of their values, which may be large, only the number of messages leaves the database."""

from typing import Any

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.threads import ThreadFilter, ThreadLine
from deerflow.domain.words import ThreadStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import runs, threads
from deerflow.storage.scope import within
from deerflow.storage.thread_search import ASKS, find
from deerflow.storage.types import length_at, unindexed

_FACTS = ("thread_id", "title", "status", "metadata", "created_at", "updated_at")
_IS_RUNNING = sa.exists().where(
    runs.c.thread_id == threads.c.thread_id, runs.c.status == sa.literal_column("'running'")
)
"""Whether a worker has one of a thread's runs. The status is written out, for the index of running runs."""


def page(tx: Tx, principal: Principal, wanted: ThreadFilter, *, limit: int, offset: int) -> list[ThreadLine]:
    """Some of the caller's threads, last changed first."""
    ids = find(tx, principal, wanted, sort_by="updated_at", descending=True, limit=limit, offset=offset)
    facts: list[sa.ColumnElement[Any]] = [threads.c[name] for name in _FACTS]
    told = [
        ASKS.label("asks"),
        _IS_RUNNING.label("is_running"),
        length_at(threads.c["values"], "messages").label("messages"),
    ]
    query = sa.select(*facts, *told).where(threads.c.thread_id.in_(ids), unindexed(within(principal, threads)))
    found = {row.thread_id: _line(row) for row in tx.execute(query)}
    return [found[thread_id] for thread_id in ids if thread_id in found]


def _line(row: sa.Row[Any]) -> ThreadLine:
    told = {"status": ThreadStatus(row.status), "asks": bool(row.asks), "is_running": bool(row.is_running)}
    return ThreadLine(**{**row._mapping, **told})
