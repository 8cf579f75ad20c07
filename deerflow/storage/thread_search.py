"""Pages and counts of threads, by what they are and what they contain.

First it is decided which threads: from indexes and labels (labels.py), which know nothing of their values, so that a
thread with megabytes costs no more than another. Then the page's rows are read.

1. A label that few have leads to them directly.
2. Otherwise threads are gone through in the page's order until it is full, by one look at the key of a label each.
3. What no label tells (what is nested, numbers, ``values``) is looked up in the threads themselves. With many of
   them that takes SQLite seconds, in which it gives way again and again: no other request waits for it.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.principal import Principal
from deerflow.domain.threads import Thread, ThreadFilter
from deerflow.storage.database import Tx
from deerflow.storage.labels import Label, also, has, labelled, labels_of
from deerflow.storage.models import thread_labels, threads
from deerflow.storage.scope import filter_of, within
from deerflow.storage.threads import columns, record
from deerflow.storage.types import Json, contains, has_text, unindexed

_FEW = 1_000
"""So many threads are looked for one by one and sorted: a few milliseconds."""
_LOOKED_AT_ONCE = 100


ASKS = sa.and_(threads.c.interrupts.is_not(None), threads.c.interrupts != sa.literal({}, Json))
"""Whether questions of a thread are open."""


@dataclass(frozen=True)
class _Sought:
    """Conditions on ``threads``: what an index or a label tells, and what only the threads themselves do."""

    told: list[sa.ColumnElement[bool]]
    looked_up: list[sa.ColumnElement[bool]]
    are_few: bool


def search(
    tx: Tx,
    principal: Principal,
    wanted: ThreadFilter,
    *,
    sort_by: str,
    descending: bool,
    limit: int,
    offset: int,
    without: Collection[str] = (),
) -> list[Thread]:
    """A page of the caller's threads; *sort_by* is a column, equal ones come in the order of their ids.

    *without*: columns that nobody will read; they are None.
    """
    page = _page(tx, principal, wanted, sort_by=sort_by, descending=descending, limit=limit, offset=offset)
    found = _read(tx, principal, page, without)
    return sorted(found, key=lambda thread: (getattr(thread, sort_by), thread.thread_id), reverse=descending)


def find(
    tx: Tx, principal: Principal, wanted: ThreadFilter, *, sort_by: str, descending: bool, limit: int, offset: int
) -> list[UUID]:
    """The ids of the threads of a page."""
    page = _page(tx, principal, wanted, sort_by=sort_by, descending=descending, limit=limit, offset=offset)
    return page if isinstance(page, list) else list(tx.scalars(page))


def _page(
    tx: Tx, principal: Principal, wanted: ThreadFilter, *, sort_by: str, descending: bool, limit: int, offset: int
) -> list[UUID] | sa.Select[Any]:
    """The query for the ids of the threads of a page; these ids where they have to be looked for one by one."""
    column, sought = threads.c[sort_by], _sought(tx, principal, wanted)
    keys = [unindexed(key) if sought.are_few else key for key in (column, threads.c.thread_id)]
    order = [key.desc() for key in keys] if descending else keys
    if sought.looked_up and tx.dialect.name == "sqlite":
        return list(islice(_looked_through(tx, sought, order), offset, offset + limit))
    query = sa.select(threads.c.thread_id).where(*sought.told, *sought.looked_up)
    return query.order_by(*order).limit(limit).offset(offset)


def count(tx: Tx, principal: Principal, wanted: ThreadFilter) -> int:
    """How many of the caller's threads there are of that kind."""
    labels, is_all = _labels(principal, wanted)
    if labels and is_all and wanted == ThreadFilter(metadata=wanted.metadata):
        return tx.scalar(_labelled(principal, labels).with_only_columns(sa.func.count())) or 0
    sought = _sought(tx, principal, wanted)
    if sought.looked_up and tx.dialect.name == "sqlite":
        return sum(1 for _ in _looked_through(tx, sought, ()))
    query = sa.select(sa.func.count()).select_from(threads).where(*sought.told, *sought.looked_up)
    return tx.scalar(query) or 0


def _sought(tx: Tx, principal: Principal, wanted: ThreadFilter) -> _Sought:
    labels, is_all = _labels(principal, wanted)
    looked_up: list[sa.ColumnElement[bool]] = []
    if not is_all:
        looked_up += [contains(threads.c.metadata, each) for each in _metadata(principal, wanted)]
    if wanted.values:
        looked_up.append(contains(threads.c["values"], wanted.values))
    if wanted.asks is not None:
        looked_up.append(ASKS if wanted.asks else ~ASKS)
    if wanted.title:
        looked_up.append(has_text(threads.c.title, wanted.title))
    told = [] if filter_of(principal, threads) is not None else [within(principal, threads)]
    if wanted.status is not None:
        told.append(threads.c.status == wanted.status)
    few = threads.c.thread_id.in_(wanted.ids) if wanted.ids is not None else _few(tx, principal, labels)
    told += [has(label) for label in labels]
    if few is None:
        return _Sought(told, looked_up, are_few=False)
    return _Sought([few, *map(unindexed, told)], looked_up, are_few=True)


def _few(tx: Tx, principal: Principal, labels: list[Label]) -> sa.ColumnElement[bool] | None:
    """The condition that a thread is one of the few with a certain label, or with all of them; None: they are many."""
    sets = [_labelled(principal, [label]) for label in labels]
    for rows in [*sets, _labelled(principal, labels)] if len(labels) > 1 else sets:
        if tx.execute(rows.limit(1).offset(_FEW)).first() is None:
            return _one_of(tx, rows)
    return None


def _one_of(tx: Tx, rows: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """The condition that a thread is one of these few, in the form that is looked for one by one."""
    if tx.dialect.name == "postgresql":  # it would like to make a join of IN, and may begin with the wrong side
        return threads.c.thread_id == sa.any_(sa.func.array(rows.scalar_subquery()))
    return threads.c.thread_id.in_(rows)


def _labels(principal: Principal, wanted: ThreadFilter) -> tuple[list[Label], bool]:
    """The labels of all metadata that is asked for, and whether they say all of it."""
    each = [labels_of(metadata) for metadata in _metadata(principal, wanted)]
    return [label for labels, _ in each for label in labels], all(is_all for _, is_all in each)


def _metadata(principal: Principal, wanted: ThreadFilter) -> list[dict[str, Any]]:
    return [metadata for metadata in (filter_of(principal, threads), wanted.metadata) if metadata]


def _labelled(principal: Principal, labels: Sequence[Label]) -> sa.Select[Any]:
    """The ids of threads with all of these labels; where no filter of the project says whose, of the caller's."""
    first, *others = labels
    rows = sa.select(thread_labels.c.thread_id).where(*labelled(first))
    for other in others:
        rows = rows.where(also(other))
    return rows if filter_of(principal, threads) is not None else rows.where(within(principal, thread_labels))


def _looked_through(tx: Tx, sought: _Sought, order: Iterable[sa.ColumnElement[Any]]) -> Iterator[UUID]:
    """The ids of those in which all is found that has to be looked up, in order, by and by."""
    query = sa.select(threads.c.thread_id, sa.and_(*sought.looked_up)).where(*sought.told).order_by(*order)
    rows = tx.execute(query, execution_options={"yield_per": _LOOKED_AT_ONCE})
    for part in rows.partitions():
        yield from (thread_id for thread_id, is_found in part if is_found)
        time.sleep(0)  # gevent lets others run


def _read(tx: Tx, principal: Principal, page: list[UUID] | sa.Select[Any], without: Collection[str]) -> list[Thread]:
    """The rows of the threads of a page, in any order; one that has gone meanwhile is left out.

    The query for the page is a part of this one: to say a hundred ids takes as long as to look for them.
    """
    of_page = threads.c.thread_id.in_(page) if isinstance(page, list) else _one_of(tx, page)
    chosen = [sa.null().label(c.name) if c.name in without else c for c in columns]
    query = sa.select(*chosen).where(of_page, unindexed(within(principal, threads)))
    return [record(row) for row in tx.execute(query).all()]
