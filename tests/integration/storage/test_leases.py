"""Leases: renewing, giving back, finishing, and what becomes of a lost worker's runs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import CancelAction, RunStatus, ThreadStatus
from deerflow.storage import cancels, leases, threads
from deerflow.storage.types import now
from tests.factories import (
    OWNER,
    at_once,
    claim_run,
    finish_run,
    make_run,
    make_running,
    row_of,
    set_columns,
    thread_of,
)

LEASE = timedelta(seconds=60)
HEAD = ThreadHead(values={"n": 1}, next=(), interrupts={})
LOST = {"lease_until": now(-1.0)}


def renew(backend, said, *, worker="worker-1", progressed=()):
    with backend.db.begin() as tx:
        return leases.renew(tx, worker, said, list(progressed), lease=LEASE)


def reap(backend):
    with backend.db.begin() as tx:
        return leases.reap(tx, crash_limit=backend.rules.crash_limit)


def lose(backend, run):
    """The run's worker dies: its lease lapses and the reaper looks."""
    set_columns(backend, run, **LOST)
    return reap(backend)


def test_a_renewal_moves_the_lease_and_stores_how_far_the_log_has_come(backend):
    run, other = make_running(backend), make_running(backend)
    set_columns(backend, run, **LOST)
    assert renew(backend, {run.run_id: 12, other.run_id: 0}) == {
        run.run_id: (1, None),
        other.run_id: (1, None),
    }
    assert row_of(backend, run).events_upto == 12
    assert reap(backend) == []


def test_a_renewal_brings_back_the_cancel_marks(backend):
    """scenario 55: a lost revoke costs a lease beat, never the cancel"""
    run = make_running(backend)
    with backend.db.begin() as tx:
        cancels.mark_cancel(tx, run, CancelAction.INTERRUPT)
    assert renew(backend, {run.run_id: 0}) == {run.run_id: (1, CancelAction.INTERRUPT)}


def test_runs_that_are_no_longer_the_workers_are_missing_from_the_renewal(backend):
    ended, deleted, elsewhere, kept = (make_running(backend) for _ in range(4))
    assert finish_run(backend, ended)
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, deleted.thread_id)
    set_columns(backend, elsewhere, worker="worker-2")
    said = {run.run_id: 0 for run in (ended, deleted, elsewhere, kept)} | {uuid4(): 0}
    assert renew(backend, said) == {kept.run_id: (1, None)}


def test_a_renewal_shows_when_the_worker_itself_has_a_newer_attempt(backend):
    run = make_running(backend)
    lose(backend, run)
    assert claim_run(backend, run, worker="worker-1").attempt == 2
    assert renew(backend, {run.run_id: 0}) == {run.run_id: (2, None)}


def test_a_finish_writes_the_run_and_what_it_leaves_on_its_thread(backend):
    """scenario 60: the thread's status is part of the finish"""
    run = make_running(backend)
    assert thread_of(backend, run).status is ThreadStatus.BUSY
    assert finish_run(backend, run, head=HEAD, events_upto=7)
    ended, thread = row_of(backend, run), thread_of(backend, run)
    assert (ended.status, ended.worker, ended.lease_until, ended.events_upto) == ("success", None, None, 7)
    assert ended.ended_at >= ended.started_at
    assert (thread.status, thread.values, thread.error) == (ThreadStatus.IDLE, {"n": 1}, None)


def test_a_failed_run_leaves_its_error_on_the_thread_and_the_values_as_they_were(backend):
    """scenario 14"""
    run = make_running(backend)
    assert finish_run(backend, run, head=HEAD)
    failing = make_running(backend, thread_id=run.thread_id)
    told = {"error": "ValueError", "message": "boom"}
    assert finish_run(backend, failing, status=RunStatus.ERROR, error=told, thread_error=told)
    thread = thread_of(backend, run)
    assert (thread.status, thread.error, thread.values) == (ThreadStatus.ERROR, told, {"n": 1})
    assert row_of(backend, failing).error == told


def test_a_thread_stays_busy_while_another_run_waits(backend):
    run = make_running(backend)
    make_run(backend, thread_id=run.thread_id)
    assert finish_run(backend, run)
    assert thread_of(backend, run).status is ThreadStatus.BUSY


def test_a_finish_of_an_older_attempt_is_refused(backend):
    """scenario 11: a stalled worker wakes up after its successor has begun"""
    stalled = make_running(backend, worker="worker-1")
    lose(backend, stalled)
    successor = claim_run(backend, stalled, worker="worker-2")
    assert not finish_run(backend, stalled)
    assert row_of(backend, stalled) == successor
    assert finish_run(backend, successor)
    assert not finish_run(backend, successor, status=RunStatus.ERROR)


def test_a_finish_between_two_attempts_is_refused(backend):
    stalled = make_running(backend)
    lose(backend, stalled)
    assert not finish_run(backend, stalled)
    assert row_of(backend, stalled).status is RunStatus.PENDING


def test_a_finish_of_a_deleted_run_is_refused(backend):
    """scenario 17: and it does not bring the thread back"""
    run = make_running(backend)
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, run.thread_id)
    assert not finish_run(backend, run)


def test_a_released_run_waits_for_another_worker_and_is_charged_nothing(backend):
    run = make_running(backend)
    with backend.db.begin() as tx:
        assert leases.release(tx, run, events_upto=5)
        assert not leases.release(tx, run, events_upto=6)
    free = row_of(backend, run)
    assert (free.status, free.worker, free.lease_until) == (RunStatus.PENDING, None, None)
    assert (free.attempt, free.crashes, free.events_upto, free.rung_at) == (1, 0, 5, None)
    assert claim_run(backend, run, worker="worker-2").attempt == 2
    assert thread_of(backend, run).status is ThreadStatus.BUSY


def test_a_release_of_an_older_attempt_is_refused(backend):
    stalled = make_running(backend)
    lose(backend, stalled)
    successor = claim_run(backend, stalled, worker="worker-2")
    with backend.db.begin() as tx:
        assert not leases.release(tx, stalled, events_upto=0)
    assert row_of(backend, stalled) == successor


def test_a_lapsed_lease_frees_the_run(backend):
    """scenario 9"""
    lost, alive = make_running(backend), make_running(backend)
    reaped = lose(backend, lost)
    assert reaped == [row_of(backend, lost)]
    assert (reaped[0].status, reaped[0].crashes, reaped[0].worker) == (RunStatus.PENDING, 1, None)
    assert row_of(backend, alive) == alive
    assert reap(backend) == []


def test_a_lapse_after_a_checkpoint_is_no_crash(backend):
    run = make_running(backend)
    assert renew(backend, {run.run_id: 0}, progressed=[run.run_id])
    assert renew(backend, {run.run_id: 0})  # a later beat without news does not take the progress back
    set_columns(backend, run, **LOST)
    assert [r.crashes for r in reap(backend)] == [0]


def test_progress_counts_for_its_own_attempt_only(backend):
    run = make_running(backend)
    set_columns(backend, run, progressed=True)
    assert [r.crashes for r in lose(backend, run)] == [0]
    assert [r.crashes for r in lose(backend, claim_run(backend, run))] == [1]


def test_at_the_crash_limit_the_run_ends_and_its_thread_is_free(backend):
    """scenario 9: after the crash limit it ends as error"""
    run = make_running(backend)
    for crash in range(1, backend.rules.crash_limit):
        assert [(r.status, r.crashes) for r in lose(backend, run)] == [(RunStatus.PENDING, crash)]
        run = claim_run(backend, run)
    ended = lose(backend, run)[0]
    assert (ended.status, ended.crashes) == (RunStatus.ERROR, backend.rules.crash_limit)
    assert ended.error["error"] == "WorkerLost"
    assert ended.ended_at is not None
    thread = thread_of(backend, run)
    assert (thread.status, thread.error) == (ThreadStatus.ERROR, ended.error)


def test_a_run_given_up_leaves_its_thread_to_the_next_one(backend):
    run = make_running(backend)
    waiting = make_run(backend, thread_id=run.thread_id)
    set_columns(backend, run, crashes=backend.rules.crash_limit - 1)
    assert lose(backend, run)[0].is_terminal
    assert thread_of(backend, run).status is ThreadStatus.BUSY
    assert claim_run(backend, waiting) is not None


def test_a_cancelled_run_is_not_given_up_but_kept_for_the_worker_that_finishes_its_cancel(backend):
    """scenario 54: the mark on the row outlives its owner, and a cancel does not end as an error"""
    run = make_running(backend)
    with backend.db.begin() as tx:
        cancels.mark_cancel(tx, run, CancelAction.INTERRUPT)
    set_columns(backend, run, crashes=backend.rules.crash_limit - 1)
    assert [r.status for r in lose(backend, run)] == [RunStatus.PENDING]
    assert claim_run(backend, run).cancel_action is CancelAction.INTERRUPT


def test_a_renewal_wins_over_a_reap(backend):
    """scenario 10: the reaper looks while a late renewal is under way"""
    run = make_running(backend)
    set_columns(backend, run, **LOST)
    with ThreadPoolExecutor(1) as pool:
        with backend.db.begin() as tx:
            assert leases.renew(tx, "worker-1", {run.run_id: 0}, [], lease=LEASE)
            reaped = pool.submit(reap, backend)
            if not backend.db.is_sqlite:  # there, a reaper does not even wait for it
                assert reaped.result(10) == []
        assert reaped.result(10) == []
    assert row_of(backend, run).status is RunStatus.RUNNING


def test_the_runs_of_a_worker_known_to_be_dead_are_freed_at_once(backend):
    dead, alive = make_running(backend, worker="worker-1"), make_running(backend, worker="worker-2")
    with backend.db.begin() as tx:
        assert leases.bury(tx, "worker-1") == 1
    assert [r.run_id for r in reap(backend)] == [dead.run_id]
    assert row_of(backend, alive) == alive


def test_of_several_clocks_one_reaps_a_run(backend):
    lost = [make_running(backend) for _ in range(10)]
    for run in lost:
        set_columns(backend, run, **LOST)
    reaped = sum(at_once(*[lambda: reap(backend)] * 3), reap(backend))
    assert sorted(r.run_id for r in reaped) == sorted(run.run_id for run in lost)
    assert {row_of(backend, run).crashes for run in lost} == {1}
