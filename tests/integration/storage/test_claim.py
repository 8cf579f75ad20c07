"""Claims: who gets a run, and when nobody does."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from deerflow.domain.words import CancelAction, RunStatus
from deerflow.storage import cancels, leases, models, rings, threads
from deerflow.storage.types import now
from tests.factories import (
    OWNER,
    at_once,
    claim_run,
    finish_run,
    make_run,
    make_running,
    make_thread,
    row_of,
    set_columns,
)

WORKERS = 4
ROUNDS = 15


def test_a_claim_makes_the_run_the_workers(backend):
    """scenario 59: its lease starts with the claim"""
    pending = make_run(backend)
    claimed = claim_run(backend, pending, worker="worker-1", lease_seconds=60)
    assert claimed == row_of(backend, pending)
    assert (claimed.status, claimed.attempt, claimed.worker) == (RunStatus.RUNNING, 1, "worker-1")
    assert claimed.task_id == f"{pending.run_id}.1"
    assert claimed.lease_until - claimed.updated_at == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=1))
    assert claimed.started_at is not None


def test_of_many_claims_at_once_one_wins(backend):
    for _ in range(ROUNDS):
        run = make_run(backend)
        claims = [lambda i=i, run=run: claim_run(backend, run, worker=f"worker-{i}") for i in range(WORKERS)]
        winners = [claimed for claimed in at_once(*claims) if claimed is not None]
        assert [claimed.worker for claimed in winners] == [row_of(backend, run).worker]
        assert row_of(backend, run).attempt == 1


def test_a_thread_has_one_running_run_however_many_workers_want_its_runs(backend):
    """scenario 7"""
    for _ in range(ROUNDS):
        thread_id = make_thread(backend).thread_id
        waiting = [make_run(backend, thread_id=thread_id) for _ in range(WORKERS)]
        claimed = at_once(*(lambda run=run: claim_run(backend, run) for run in waiting))
        assert [run is not None for run in claimed] == [True, False, False, False]


def test_the_database_itself_refuses_a_second_running_run(backend):
    """scenario 7: whatever the code above believes"""
    running = make_running(backend)
    second = make_run(backend, thread_id=running.thread_id)
    with pytest.raises(sa.exc.IntegrityError):
        set_columns(backend, second, status=RunStatus.RUNNING)


def test_runs_of_a_thread_are_claimed_in_the_order_of_their_creation(backend):
    thread_id = make_thread(backend).thread_id
    waiting = [make_run(backend, thread_id=thread_id) for _ in range(3)]
    assert [run.ordinal for run in waiting] == [1, 2, 3]
    for nth, run in enumerate(waiting):
        assert [claim_run(backend, later) for later in waiting[nth + 1 :]] == [None] * (2 - nth)
        assert finish_run(backend, claim_run(backend, run))


def test_runs_submitted_at_once_are_numbered_without_holes(backend):
    thread_id = make_thread(backend).thread_id
    made = at_once(*(lambda: make_run(backend, thread_id=thread_id) for _ in range(WORKERS)))
    assert sorted(run.ordinal for run in made) == [1, 2, 3, 4]


def test_a_run_is_not_claimed_before_its_time(backend):
    run = make_run(backend)
    set_columns(backend, run, run_at=now(3600.0))
    assert claim_run(backend, run) is None
    set_columns(backend, run, run_at=now(-1.0))
    assert claim_run(backend, run) is not None


def test_a_run_that_is_not_due_is_not_in_the_way_of_a_younger_one(backend):
    delayed = make_run(backend)
    set_columns(backend, delayed, run_at=now(3600.0))
    assert claim_run(backend, make_run(backend, thread_id=delayed.thread_id)) is not None


def test_a_run_that_has_begun_goes_on_before_an_older_one_that_has_become_due(backend):
    """Otherwise the older one's checkpoints would stand between its own, and it would begin again."""
    delayed = make_run(backend)
    set_columns(backend, delayed, run_at=now(3600.0))
    begun = claim_run(backend, make_run(backend, thread_id=delayed.thread_id))
    with backend.db.begin() as tx:
        leases.release(tx, begun, events_upto=1)
    set_columns(backend, delayed, run_at=now(-1.0), rung_at=None)
    with backend.db.read() as tx:
        assert rings.next_of_thread(tx, delayed.thread_id) == begun.run_id
        assert rings.unrung(tx, limit=10) == [begun.run_id]
    assert claim_run(backend, delayed) is None
    assert finish_run(backend, claim_run(backend, begun))
    assert claim_run(backend, delayed) is not None


def test_another_threads_runs_are_in_nobodys_way(backend):
    make_running(backend)
    assert claim_run(backend, make_run(backend)) is not None


@pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.PENDING])
def test_only_a_pending_run_is_claimed(backend, status):
    """scenario 20: the second delivery of a message finds nothing to do"""
    run = make_run(backend)
    set_columns(backend, run, status=status)
    assert claim_run(backend, run) is None
    assert row_of(backend, run).attempt == 0


def test_a_run_cancelled_before_its_start_is_not_claimed(backend):
    run = make_run(backend)
    with backend.db.begin() as tx:
        cancels.mark_cancel(tx, run, CancelAction.INTERRUPT)
    assert claim_run(backend, run) is None


def test_a_deleted_run_is_not_claimed(backend):
    """scenario 17"""
    run = make_run(backend)
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, run.thread_id)
    assert claim_run(backend, run) is None


def test_every_claim_of_a_thread_gets_a_higher_fence(backend):
    first = make_running(backend)
    assert finish_run(backend, first)
    second = make_running(backend, thread_id=first.thread_id)
    assert second.fence > first.fence > 0


def test_a_refused_claim_leaves_the_holders_row_alone(backend):
    running = make_running(backend, worker="worker-1")
    assert claim_run(backend, running, worker="worker-2") is None
    assert row_of(backend, running) == running


def test_a_thread_used_again_after_a_deletion_has_a_higher_fence_than_its_namesake(backend):
    first = make_running(backend)
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, first.thread_id)
        doomed = tx.scalar(sa.select(models.doomed_threads.c.fence))
        threads.forget_doomed(tx, first.thread_id, doomed)
    make_thread(backend, thread_id=first.thread_id)
    second = make_running(backend, thread_id=first.thread_id)
    assert second.fence > first.fence
    assert doomed > first.fence


LIMIT = 3


@pytest.mark.parametrize(
    ("crashes", "held_crashes", "held_progressed", "accepted"),
    [
        (LIMIT - 1, LIMIT - 1, False, False),
        (LIMIT - 1, LIMIT - 1, True, True),
        (LIMIT - 1, LIMIT - 2, False, True),
        (LIMIT - 1, 0, False, True),
        (LIMIT - 2, LIMIT - 1, False, True),
        (0, LIMIT - 1, False, True),
    ],
)
def test_a_run_at_its_last_try_runs_beside_no_other_such_run(backend, crashes, held_crashes, held_progressed, accepted):
    """A poisonous graph is found, because no two suspects share a worker; what got further is no suspect."""
    assert backend.rules.crash_limit == LIMIT
    held = make_running(backend, worker="worker-1")
    set_columns(backend, held, crashes=held_crashes, progressed=held_progressed)
    run = make_run(backend)
    set_columns(backend, run, crashes=crashes)
    assert (claim_run(backend, run, worker="worker-1") is not None) is accepted
    if not accepted:
        assert claim_run(backend, run, worker="worker-2") is not None
