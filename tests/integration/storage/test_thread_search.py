"""Threads are found by what they contain: alike on both databases, whichever way leads to them.

The examples are the same each time; with ``DEERFLOW_TEST_EXAMPLES=500`` there are as many, and new ones.
"""

import os
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from deerflow.backend import Backend
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Principal
from deerflow.domain.threads import ThreadFilter
from deerflow.domain.words import CancelAction, ThreadStatus
from deerflow.runtime.cancel import cancel
from deerflow.storage import adoptions, models, thread_search, threads
from deerflow.storage.database import Tx
from deerflow.storage.labels import labels_of
from deerflow.storage.types import dump_json, holds
from tests.factories import OWNER, STRANGER, TEAM_MATE, make_run, make_thread

EXAMPLES = int(os.environ.get("DEERFLOW_TEST_EXAMPLES", "0"))
ALL: dict[str, Any] = {"sort_by": "created_at", "descending": False, "limit": 1000, "offset": 0}
SAME_TO_SOME = [None, True, False, 0, 1, 1.0, 1.5, -0.5, "1", "t", "-", "true", "", "n1", "\0", 10**15, 1e15, 2**63 - 1]
LONG = ["x" * 99, "x" * 100, "x" * 101, "é" * 100 + "a", "é" * 100 + "b"]
SCALARS = st.sampled_from([*SAME_TO_SOME, *LONG]) | st.text(max_size=3) | st.floats(allow_nan=False, width=32)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=3,
)
NAMES = st.sampled_from(["a", "b", "a\0", 'say "a"', "ä", *LONG])
METADATA = st.dictionaries(NAMES, VALUES, max_size=3)


def stored(metadata: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(dump_json(metadata))
    return found


def found(tx: Tx, who: Principal, **wanted: Any) -> set[UUID]:
    page = thread_search.search(tx, who, ThreadFilter(**wanted), **ALL)
    assert thread_search.count(tx, who, ThreadFilter(**wanted)) == len(page)
    return {thread.thread_id for thread in page}


@trying(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(there=st.lists(METADATA, min_size=1, max_size=4), data=st.data())
@example(there=[{"a": 1.5}, {"a": 1}, {"a": True}], data=None)
def test_what_is_found_contains_what_is_wanted(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, there: list[dict[str, Any]], data: st.DataObject | None
) -> None:
    """By labels that few have or many, by what is looked up, of an owner or where a filter says whose."""
    if data is None:
        wanted = {"a": 1}
    else:
        part = data.draw(st.sampled_from(there))
        kept = {name: value for name, value in part.items() if data.draw(st.booleans())}
        wanted = kept or data.draw(METADATA)
    with backend.db.begin() as tx:
        undo = tx.begin_nested()
        ids = [threads.create(tx, OWNER, new_id(), {**metadata, "of": "us"}).thread_id for metadata in there]
        threads.create(tx, STRANGER, new_id(), {**wanted, "of": "him"})
        expected = {i for i, metadata in zip(ids, there, strict=True) if holds(stored(metadata), stored(wanted))}
        team = replace(TEAM_MATE, filters={"threads": {"of": "us"}})
        narrow = replace(TEAM_MATE, filters={"threads": {**stored(wanted), "of": "us"}})
        for few in (1_000, 0):
            monkeypatch.setattr(thread_search, "_FEW", few)
            assert found(tx, OWNER, metadata=wanted) == expected
            assert found(tx, OWNER, metadata=wanted, status=ThreadStatus.IDLE) == expected
            assert found(tx, OWNER, metadata=wanted, ids=tuple(ids[:2])) == expected & set(ids[:2])
            assert found(tx, team, metadata=wanted) == expected
            assert found(tx, narrow) == expected
        undo.rollback()


def labels(backend: Backend) -> dict[UUID, set[tuple[str, str, str]]]:
    """The labels of each thread, with their owner."""
    found: dict[UUID, set[tuple[str, str, str]]] = {}
    with backend.db.read() as tx:
        for row in tx.execute(sa.select(models.thread_labels)):
            found.setdefault(row.thread_id, set()).add((row.name, row.value, row.owner))
    return found


def wanted_labels(backend: Backend) -> dict[UUID, set[tuple[str, str, str]]]:
    """What they should be."""
    with backend.db.read() as tx:
        rows = tx.execute(
            sa.select(models.threads.c.thread_id, models.threads.c.owner, models.threads.c.metadata)
        ).all()
    each = {
        row.thread_id: {(label.name, label.value, row.owner) for label in labels_of(row.metadata)[0]} for row in rows
    }
    return {thread_id: told for thread_id, told in each.items() if told}


def test_labels_follow_whatever_is_done_to_a_thread(backend: Backend) -> None:
    """Its creation, changes, runs, a rollback, another owner, its end."""
    one, other = make_thread(backend, a=1, b="x", c=[1]).thread_id, make_thread(backend, TEAM_MATE, a=1).thread_id
    empty = make_thread(backend).thread_id
    assert labels(backend) == wanted_labels(backend)
    with backend.db.begin() as tx:
        threads.change(tx, OWNER, one, {"a": 2, "d": None, "b": {"now": "nested"}})
    assert labels(backend) == wanted_labels(backend)
    assert labels(backend)[one] == {("a", "n2", "owner"), ("d", "-", "owner")}
    run = make_run(backend, thread_id=empty)
    assert ("graph_id", "ssteps", "owner") in labels(backend)[empty]
    cancel(backend, OWNER, empty, run.run_id, CancelAction.ROLLBACK)
    assert labels(backend) == wanted_labels(backend)
    assert empty not in labels(backend)
    with backend.db.begin() as tx:
        adoptions.begin(tx, TEAM_MATE.user_id, OWNER.user_id)
    assert labels(backend)[other] == {("a", "n1", "owner")}
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, one)
    assert labels(backend) == wanted_labels(backend)
    assert one not in labels(backend)


def test_pages_follow_each_other_whichever_way_is_taken(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order and without a gap: by index, by label, and looked up."""
    made = [make_thread(backend, kind="chat", n={"is": number % 2}).thread_id for number in range(9)]
    for few in (1_000, 0):
        monkeypatch.setattr(thread_search, "_FEW", few)
        for wanted, expected in [({}, made), ({"kind": "chat"}, made), ({"n": {"is": 1}}, made[1::2])]:
            for descending in (False, True):
                with backend.db.read() as tx:
                    pages = [
                        thread_search.search(
                            tx,
                            OWNER,
                            ThreadFilter(metadata=wanted),
                            **{**ALL, "descending": descending, "limit": 2, "offset": offset},
                        )
                        for offset in range(0, 10, 2)
                    ]
                assert [t.thread_id for page in pages for t in page] == (expected[::-1] if descending else expected)


def test_columns_that_nobody_reads_are_left_out(backend: Backend) -> None:
    thread = make_thread(backend, kind="chat")
    with backend.db.read() as tx:
        (found,) = thread_search.search(tx, OWNER, ThreadFilter(), **ALL, without={"values", "metadata"})
    assert (found.thread_id, found.metadata, found.config) == (thread.thread_id, None, {})
