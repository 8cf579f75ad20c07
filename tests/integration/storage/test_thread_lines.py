"""Threads as lists show them."""

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from deerflow.backend import Backend
from deerflow.domain.threads import ThreadFilter, ThreadLine
from deerflow.domain.words import ThreadStatus
from deerflow.storage import models, thread_lines, thread_search
from tests.factories import OWNER, STRANGER, make_thread

ASKED = {"task": [{"id": "a", "value": "sure?"}]}


def make(backend: Backend, **columns: Any) -> UUID:
    """A thread that is what time would make of one."""
    thread_id = make_thread(backend).thread_id
    if columns:
        with backend.db.begin() as tx:
            tx.execute(sa.update(models.threads).where(models.threads.c.thread_id == thread_id).values(columns))
    return thread_id


def lines(backend: Backend, principal: Any = OWNER, **wanted: Any) -> list[ThreadLine]:
    with backend.db.read() as tx:
        found = thread_lines.page(tx, principal, ThreadFilter(**wanted), limit=10, offset=0)
        assert thread_search.count(tx, principal, ThreadFilter(**wanted)) == len(found)
    return found


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"messages": [{}, {}, "three"]}, 3),
        ({"messages": []}, 0),
        ({"n": 1}, None),
        ([1, 2], None),
        ("messages", None),
        (None, None),
    ],
)
def test_messages_are_counted_where_they_lie(backend: Backend, values: Any, count: int | None) -> None:
    make(backend, values=values)
    assert [line.messages for line in lines(backend)] == [count]


def test_a_thread_asks_while_questions_are_open(backend: Backend) -> None:
    asks = make(backend, status=ThreadStatus.INTERRUPTED, interrupts=ASKED)
    stopped = [make(backend, status=ThreadStatus.INTERRUPTED, interrupts=none) for none in ({}, None)]
    interrupted = {"status": ThreadStatus.INTERRUPTED}
    assert {line.thread_id: line.asks for line in lines(backend)} == {asks: True, **dict.fromkeys(stopped, False)}
    assert [line.thread_id for line in lines(backend, asks=True, **interrupted)] == [asks]
    assert {line.thread_id for line in lines(backend, asks=False, **interrupted)} == set(stopped)


@pytest.mark.parametrize("part", ["kyoto", "KYOTO", "week in", "größe", "GRÖ", "%", "京都", "'"])
def test_titles_are_found_by_a_part(backend: Backend, part: str) -> None:
    """Small and capital letters alike, in every script; nothing in it is a pattern."""
    wanted = make(backend, title="A week in Kyoto: Größe 100% 京都 'quoted'")
    make(backend, title="Something else")
    make(backend)
    found = [line.thread_id for line in lines(backend, title=part)]
    assert found == [wanted]


def test_last_changed_come_first(backend: Backend) -> None:
    made = [make(backend) for _ in range(3)]
    assert [line.thread_id for line in lines(backend)] == made[::-1]


def test_nobody_elses_are_there(backend: Backend) -> None:
    make(backend, title="mine", status=ThreadStatus.INTERRUPTED, interrupts=ASKED)
    for wanted in ({}, {"title": "mine"}, {"asks": True}, {"status": ThreadStatus.INTERRUPTED}):
        assert lines(backend, STRANGER, **wanted) == []
