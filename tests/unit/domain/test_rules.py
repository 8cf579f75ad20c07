"""The rules of runs, threads and principals, as tables of cases."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from deerflow.domain.principal import PERMISSIONS, Principal
from deerflow.domain.runs import Admission, Run, admit
from deerflow.domain.threads import ThreadHead, resting_status
from deerflow.domain.words import CancelAction, MultitaskStrategy, RunStatus, ThreadStatus

PENDING, RUNNING = RunStatus.PENDING, RunStatus.RUNNING


def a_run(status: RunStatus, cancel_action: CancelAction | None = None) -> Run:
    at, any_id = datetime(2026, 1, 1, tzinfo=UTC), UUID(int=1)
    return Run(
        run_id=any_id, thread_id=any_id, owner="owner", assistant_id=any_id, graph_id="agent", ordinal=1,
        status=status, metadata={}, kwargs={}, multitask_strategy=MultitaskStrategy.ENQUEUE, run_at=at,
        attempt=0, crashes=0, rings=0, rung_at=None, task_id=None, worker=None, lease_until=None,
        events_upto=0, fence=0, cancel_action=cancel_action, thread_before=None, error=None,
        created_at=at, updated_at=at, started_at=None, ended_at=None,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", MultitaskStrategy)
def test_a_run_on_a_free_thread_goes(strategy):
    assert admit(strategy, []) is Admission.GO


@pytest.mark.parametrize("inflight", [[PENDING], [RUNNING], [RUNNING, PENDING, PENDING]])
@pytest.mark.parametrize(
    ("strategy", "admission"),
    [
        (MultitaskStrategy.ENQUEUE, Admission.WAIT),
        (MultitaskStrategy.REJECT, Admission.REFUSE),
        (MultitaskStrategy.INTERRUPT, Admission.DISPLACE),
        (MultitaskStrategy.ROLLBACK, Admission.DISPLACE),
    ],
)
def test_the_strategy_decides_on_a_busy_thread(strategy, inflight, admission):
    assert admit(strategy, inflight) is admission


def head(*next_nodes: str) -> ThreadHead:
    return ThreadHead(values={}, next=next_nodes, interrupts={})


@pytest.mark.parametrize(
    ("left", "failed", "status"),
    [
        (head(), False, ThreadStatus.IDLE),
        (head("ask"), False, ThreadStatus.INTERRUPTED),
        (None, False, ThreadStatus.IDLE),
        (head(), True, ThreadStatus.ERROR),
        (head("ask"), True, ThreadStatus.ERROR),
        (None, True, ThreadStatus.ERROR),
    ],
)
def test_a_thread_rests_by_how_its_last_run_ended_and_what_it_left_to_do(left, failed, status):
    assert resting_status(left, failed=failed) is status


@pytest.mark.parametrize("status", RunStatus)
def test_only_pending_and_running_runs_can_still_change(status):
    assert a_run(status).is_terminal is (status not in {PENDING, RUNNING})


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_without_a_mark_was_not_cancelled(status):
    assert not a_run(status).was_cancelled


@pytest.mark.parametrize("status", RunStatus)
def test_a_marked_run_counts_as_cancelled_unless_it_ended_in_another_way(status):
    """scenario 12: a run that reached its own end before the mark took effect is not reported as cancelled"""
    expected = status in {PENDING, RUNNING, RunStatus.INTERRUPTED}
    assert a_run(status, CancelAction.INTERRUPT).was_cancelled is expected


def test_the_wires_words_are_the_sdks():
    assert {str(s) for s in RunStatus} == {"pending", "running", "success", "error", "timeout", "interrupted"}
    assert {str(s) for s in ThreadStatus} == {"idle", "busy", "interrupted", "error"}


def test_a_principal_may_what_it_was_given_and_nothing_else():
    reader = Principal("reader", frozenset({"runs:read"}))
    assert [p for p in sorted(PERMISSIONS) if reader.may(p)] == ["runs:read"]
