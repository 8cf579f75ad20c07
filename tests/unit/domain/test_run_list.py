"""Who comes first in a thread, and why a run waits."""

from datetime import UTC, datetime, timedelta

import pytest

from deerflow.domain.ids import new_id
from deerflow.domain.run_list import Queued, Waiting, ahead_of, why_waiting
from deerflow.domain.words import RunStatus

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def queued(ordinal: int, status: RunStatus = RunStatus.PENDING, *, attempt: int = 0, in_minutes: int = -1) -> Queued:
    return Queued(new_id(), ordinal, status, attempt, NOW + timedelta(minutes=in_minutes))


OURS = queued(5)


@pytest.mark.parametrize(
    ("other", "is_ahead"),
    [
        (queued(1, RunStatus.RUNNING, attempt=1), True),
        (queued(9, RunStatus.RUNNING, attempt=1), True),
        (queued(4), True),
        (queued(6), False),
        (queued(4, in_minutes=5), False),
        (queued(6, attempt=1), True),
    ],
    ids=["running", "running though newer", "older", "newer", "older but later", "newer that has begun"],
)
def test_who_comes_first(other: Queued, *, is_ahead: bool) -> None:
    assert (ahead_of(OURS, [other, OURS], NOW) == [other]) is is_ahead


def test_one_that_has_begun_waits_for_the_running_one_alone() -> None:
    begun, running = queued(5, attempt=1), queued(2, RunStatus.RUNNING, attempt=1)
    assert ahead_of(begun, [queued(1), running, begun, queued(3, attempt=1)], NOW) == [running]


def test_they_come_in_the_order_in_which_they_will_run() -> None:
    running, begun, older = queued(3, RunStatus.RUNNING, attempt=1), queued(9, attempt=2), queued(1)
    assert ahead_of(OURS, [older, begun, OURS, running], NOW) == [running, begun, older]


@pytest.mark.parametrize(
    ("run", "ahead", "has_workers", "why"),
    [
        (queued(5, in_minutes=5), [queued(1)], False, Waiting.SCHEDULED),
        (OURS, [queued(1)], False, Waiting.THREAD_BUSY),
        (OURS, [], False, Waiting.NO_WORKER),
        (OURS, [], True, Waiting.ITS_TURN),
    ],
)
def test_why_it_waits(run: Queued, ahead: list[Queued], why: Waiting, *, has_workers: bool) -> None:
    assert why_waiting(run, ahead, NOW, has_workers=has_workers) is why
