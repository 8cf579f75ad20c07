"""Cancel marks, at each point of a run's life, and which pending runs need a ring."""

import pytest

from deerflow.domain.words import CancelAction, RunStatus, ThreadStatus
from deerflow.storage import cancels, leases, rings
from deerflow.storage.types import now
from tests.factories import (
    at_once,
    claim_run,
    finish_run,
    make_run,
    make_running,
    row_of,
    set_columns,
    thread_of,
)


def mark(backend, run):
    with backend.db.begin() as tx:
        return cancels.mark_cancel(tx, run, CancelAction.INTERRUPT)


def unrung(backend, *, limit=100):
    with backend.db.read() as tx:
        return rings.unrung(tx, limit=limit)


def next_of_thread(backend, run):
    with backend.db.read() as tx:
        return rings.next_of_thread(tx, run.thread_id)


def test_a_pending_run_that_never_started_ends_with_the_mark(backend):
    run = make_run(backend)
    marked = mark(backend, run)
    assert marked == row_of(backend, run)
    assert (marked.status, marked.cancel_action) == (RunStatus.INTERRUPTED, CancelAction.INTERRUPT)
    assert marked.ended_at is not None
    assert thread_of(backend, run).status is ThreadStatus.IDLE


def test_a_run_that_never_started_leaves_its_thread_as_the_run_before_did(backend):
    failed = make_running(backend)
    assert finish_run(backend, failed, status=RunStatus.ERROR, error={}, thread_error={})
    waiting = make_run(backend, thread_id=failed.thread_id)
    assert thread_of(backend, failed).status is ThreadStatus.BUSY
    mark(backend, waiting)
    assert thread_of(backend, failed).status is ThreadStatus.ERROR


def test_a_thread_stays_busy_when_one_of_its_waiting_runs_is_cancelled(backend):
    running = make_running(backend)
    waiting = make_run(backend, thread_id=running.thread_id)
    assert mark(backend, waiting).is_terminal
    assert thread_of(backend, running).status is ThreadStatus.BUSY


def test_a_running_run_keeps_running_until_its_worker_has_stopped_it(backend):
    run = make_running(backend)
    marked = mark(backend, run)
    assert (marked.status, marked.cancel_action) == (RunStatus.RUNNING, CancelAction.INTERRUPT)
    assert (marked.worker, marked.task_id, marked.ended_at) == (run.worker, run.task_id, None)
    assert thread_of(backend, run).status is ThreadStatus.BUSY


def test_a_pending_run_that_has_run_before_keeps_its_mark_for_the_worker_that_claims_it(backend):
    """scenario 54"""
    run = make_running(backend)
    with backend.db.begin() as tx:
        assert leases.release(tx, run, events_upto=0)
    assert mark(backend, run).status is RunStatus.PENDING
    assert claim_run(backend, run).cancel_action is CancelAction.INTERRUPT


def test_a_second_mark_changes_nothing(backend):
    """scenario 5"""
    run = make_running(backend)
    first, second = mark(backend, run), mark(backend, run)
    assert (second.status, second.cancel_action) == (first.status, first.cancel_action)


@pytest.mark.parametrize("status", [s for s in RunStatus if s not in {RunStatus.PENDING, RunStatus.RUNNING}])
def test_a_run_that_has_ended_is_not_marked(backend, status):
    """scenario 12"""
    run = make_running(backend)
    assert finish_run(backend, run, status=status)
    ended = row_of(backend, run)
    assert mark(backend, run) is None
    assert row_of(backend, run) == ended


def test_a_cancel_and_the_first_claim_race_and_one_of_them_wins(backend):
    """Either the run ends unstarted, or its worker sees the mark; never a running run without one."""
    for _ in range(10):
        run = make_run(backend)
        claimed, marked = at_once(lambda run=run: claim_run(backend, run), lambda run=run: mark(backend, run))
        row = row_of(backend, run)
        assert row.cancel_action is CancelAction.INTERRUPT
        assert (claimed is None) is marked.is_terminal is row.is_terminal


def test_a_cancel_and_the_finish_race_and_one_of_them_wins(backend):
    """scenario 12: who came first, and the other one is told so"""
    for _ in range(10):
        run = make_running(backend)
        finished, marked = at_once(lambda run=run: finish_run(backend, run), lambda run=run: mark(backend, run))
        row = row_of(backend, run)
        assert finished is (marked is None) is (row.cancel_action is None)
        assert row.status is (RunStatus.SUCCESS if finished else RunStatus.RUNNING)


def test_a_marked_run_ends_as_interrupted_only(backend):
    """scenario 12: who has written the mark was told that the run will stop"""
    run = make_running(backend)
    mark(backend, run)
    for status in (RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT):
        assert not finish_run(backend, run, status=status)
    assert row_of(backend, run).status is RunStatus.RUNNING
    assert finish_run(backend, run, status=RunStatus.INTERRUPTED)
    assert row_of(backend, run).was_cancelled


def test_a_run_whose_ring_was_sent_lately_needs_none(backend):
    make_run(backend)
    assert unrung(backend) == []


@pytest.mark.parametrize("rung_at", [None, now(-61.0)], ids=["never rung", "rung over a minute ago"])
def test_a_run_whose_ring_was_not_heard_needs_another(backend, rung_at):
    """scenario 8"""
    run = make_run(backend)
    set_columns(backend, run, rung_at=rung_at)
    assert unrung(backend) == [run.run_id]


def test_a_ring_that_could_not_be_sent_is_repeated_soon(backend):
    run = make_run(backend)
    with backend.db.begin() as tx:
        rings.unring(tx, run)
    assert unrung(backend) == [run.run_id]


def test_an_older_rings_failure_does_not_undo_a_newer_ring(backend):
    run = make_run(backend)
    with backend.db.begin() as tx:
        newer = rings.ring(tx, run.run_id)
        rings.unring(tx, run)
    assert newer.rings == run.rings + 1
    assert unrung(backend) == []


def test_a_run_that_is_not_pending_is_not_rung(backend):
    run = make_running(backend)
    with backend.db.begin() as tx:
        assert rings.ring(tx, run.run_id) is None


def test_only_the_first_run_of_a_thread_is_rung_and_none_beside_a_running_one(backend):
    first = make_run(backend)
    second = make_run(backend, thread_id=first.thread_id)
    set_columns(backend, first, rung_at=None)
    assert second.rung_at is None
    assert unrung(backend) == [first.run_id]
    running = claim_run(backend, first)
    assert unrung(backend) == []
    assert finish_run(backend, running)
    assert unrung(backend) == [second.run_id]


def test_a_run_that_is_not_due_is_neither_rung_nor_next(backend):
    run = make_run(backend)
    set_columns(backend, run, rung_at=None, run_at=now(3600.0))
    assert unrung(backend) == []
    assert next_of_thread(backend, run) is None


def test_the_longest_due_runs_are_rung_first(backend):
    late, later = make_run(backend), make_run(backend)
    set_columns(backend, late, rung_at=None, run_at=now(-60.0))
    set_columns(backend, later, rung_at=None, run_at=now(-120.0))
    assert unrung(backend) == [later.run_id, late.run_id]
    assert unrung(backend, limit=1) == [later.run_id]


def test_the_oldest_pending_run_is_next_on_its_thread(backend):
    running = make_running(backend)
    assert next_of_thread(backend, running) is None
    waiting = [make_run(backend, thread_id=running.thread_id) for _ in range(2)]
    assert next_of_thread(backend, running) == waiting[0].run_id
