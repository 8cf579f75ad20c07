"""Whatever grows is read by an index: no page and no step of a run looks at all that others have."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from deerflow.backend import Backend
from deerflow.domain.crons import CronFilter
from deerflow.domain.run_list import RunWanted
from deerflow.domain.threads import ThreadFilter
from deerflow.domain.words import RunStatus, ThreadStatus
from deerflow.storage import approvals, assistants, crons, leases, rings, run_search, runs, thread_lines, thread_search
from deerflow.storage.database import Tx
from tests.factories import OWNER, claim_run, finish_run, make_run, make_thread

PAGE: dict[str, Any] = {"descending": True, "limit": 10, "offset": 0}
GROWS = "threads|runs|crons|assistants|thread_labels"


def threads_by(sort_by: str = "updated_at", **wanted: Any) -> Callable[[Tx], object]:
    return lambda tx: thread_search.search(tx, OWNER, ThreadFilter(**wanted), sort_by=sort_by, **PAGE)


def runs_by(status: str | None) -> Callable[[Tx], object]:
    return lambda tx: runs.page(tx, OWNER, uuid4(), status=status, limit=10, offset=0)


def listed(**wanted: Any) -> Callable[[Tx], object]:
    return lambda tx: run_search.page(tx, OWNER, RunWanted(**wanted), limit=10, offset=0)


READS: dict[str, Callable[[Tx], object]] = {
    **{f"threads by {name}": threads_by(name) for name in ("updated_at", "created_at", "state_updated_at", "status")},
    "threads by status": threads_by(status=ThreadStatus.IDLE),
    "threads by ids": threads_by(ids=(uuid4(), uuid4())),
    "threads by metadata": threads_by(metadata={"kind": "chat", "n": 1}),
    "threads counted": lambda tx: thread_search.count(tx, OWNER, ThreadFilter()),
    "threads counted by metadata": lambda tx: thread_search.count(tx, OWNER, ThreadFilter(metadata={"a": 1, "b": 2})),
    "threads as lists show them": lambda tx: thread_lines.page(tx, OWNER, ThreadFilter(), limit=10, offset=0),
    "threads by title": threads_by(title="a"),
    "threads that ask": threads_by(status=ThreadStatus.INTERRUPTED, asks=True),
    "threads that wait": lambda tx: approvals.page(tx, OWNER, limit=10),
    "threads that wait counted": lambda tx: approvals.count(tx, OWNER, most=1_000),
    "answers": lambda tx: approvals.answered(tx, OWNER, uuid4(), limit=10),
    "runs": runs_by(None),
    "runs by status": runs_by("success"),
    "runs of all threads": listed(),
    "runs of all threads by status": listed(statuses=(RunStatus.ERROR, RunStatus.TIMEOUT)),
    "runs that ask": listed(statuses=(RunStatus.SUCCESS,), asks=True),
    "runs that ask nothing": listed(statuses=(RunStatus.SUCCESS,), asks=False),
    "runs of one thread in the list": listed(thread_id=uuid4()),
    "runs counted": lambda tx: run_search.counts(tx, OWNER, RunWanted()),
    "runs that ask counted": lambda tx: run_search.counts(tx, OWNER, RunWanted((RunStatus.SUCCESS,), asks=True)),
    "runs in flight": lambda tx: runs.inflight(tx, uuid4()),
    "runs to be rung": lambda tx: rings.unrung(tx, limit=10),
    "runs to be reaped": lambda tx: leases.reap(tx, crash_limit=3),
    "assistants": lambda tx: assistants.search(tx, OWNER, limit=10, offset=0),
    "crons": lambda tx: crons.search(tx, OWNER, CronFilter(), sort_by="created_at", **PAGE),
}


def plans(backend: Backend, act: Callable[[], object]) -> list[str]:
    """How the database would carry out all that *act* has asked of it."""
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            said.append((statement, parameters))

    sa.event.listen(backend.db.engine, "before_cursor_execute", note)
    act()
    sa.event.remove(backend.db.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if backend.db.is_sqlite else "EXPLAIN "
    with backend.db.begin() as tx:
        if not backend.db.is_sqlite:  # of so few rows it would read all, whatever there is
            tx.execute(sa.text("SET LOCAL enable_seqscan = off"))
        return [str(row[-1]) for asked in said for row in tx.exec_driver_sql(explain + asked[0], asked[1])]


def reads_all(plan: str) -> bool:
    """Whether a step of a plan goes through a whole table; a partial index of what is in flight is none."""
    words = plan.replace("->", "").split()
    if words[:1] == ["SCAN"]:
        return words[1] in GROWS.split("|") and "uq_runs_one_running" not in words
    return words[:2] == ["Seq", "Scan"] and words[3] in GROWS.split("|")


@pytest.mark.parametrize("read", READS)
def test_a_page_is_read_by_an_index(backend: Backend, read: str) -> None:
    make_thread(backend, kind="chat", n=1)

    def act() -> None:
        with backend.db.begin() as tx:
            READS[read](tx)

    found = plans(backend, act)
    assert found
    assert [plan for plan in found if reads_all(plan)] == []


def test_threads_that_wait_are_counted_by_their_own_index(backend: Backend) -> None:
    """Which holds no others, so that every page can tell their number."""

    def act() -> None:
        with backend.db.read() as tx:
            approvals.count(tx, OWNER, most=1_000)

    found = plans(backend, act)
    assert any("ix_threads_waiting" in plan for plan in found), found


def test_a_run_reads_no_others_from_its_acceptance_to_its_end(backend: Backend) -> None:
    """Whose thread has had ten thousand runs: only those in flight are looked at."""
    make_run(backend)

    def act() -> None:
        run = make_run(backend)
        claimed = claim_run(backend, run)
        assert claimed is not None
        assert finish_run(backend, claimed, status=RunStatus.SUCCESS)

    found = plans(backend, act)
    assert [plan for plan in found if reads_all(plan)] == []
    if backend.db.is_sqlite:  # Postgres knows how many rows there are and decides anew
        of_runs = [plan for plan in found if plan.startswith(("SEARCH runs", "SEARCH other"))]
        assert [plan for plan in of_runs if "(thread_id=?)" in plan] == []
        assert any("(thread_id=? AND status=?)" in plan for plan in of_runs)
