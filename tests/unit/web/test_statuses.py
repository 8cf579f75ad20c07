"""One word for each status, and none of the API's that says two things."""

import pytest

from deerflow.domain.words import RunStatus, ThreadStatus
from deerflow.web import statuses
from deerflow.web.statuses import RUN_WORDS, THREAD_WORDS, Word, run_word, thread_word


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_of_a_run_has_a_word(status: RunStatus) -> None:
    assert run_word(status) in RUN_WORDS


@pytest.mark.parametrize(
    ("status", "asks", "word"),
    [
        (ThreadStatus.BUSY, True, statuses.RUNNING),
        (ThreadStatus.INTERRUPTED, True, statuses.NEEDS_APPROVAL),
        (ThreadStatus.INTERRUPTED, False, statuses.STOPPED),
        (ThreadStatus.ERROR, True, statuses.FAILED),
        (ThreadStatus.IDLE, False, statuses.IDLE),
    ],
)
def test_a_thread_that_asks_is_not_one_that_was_stopped(status: ThreadStatus, word: Word, *, asks: bool) -> None:
    assert thread_word(status, asks=asks, is_running=True) is word
    assert word in THREAD_WORDS


@pytest.mark.parametrize("status", ThreadStatus)
def test_a_thread_whose_runs_are_all_still_to_begin_waits(status: ThreadStatus) -> None:
    """As its runs do; what is at rest has none."""
    word = thread_word(status, asks=False, is_running=False)
    assert (word is statuses.WAITING) is (status is ThreadStatus.BUSY)


def test_a_run_that_asks_is_not_done_and_a_lost_worker_is_no_failure_of_the_graph() -> None:
    assert run_word(RunStatus.SUCCESS, asks=True) is statuses.NEEDS_APPROVAL
    assert run_word(RunStatus.SUCCESS) is statuses.DONE
    assert run_word(RunStatus.ERROR, error_name="WorkerLost") is statuses.WORKER_LOST
    assert run_word(RunStatus.ERROR, error_name="ValueError") is statuses.FAILED
    assert run_word(RunStatus.INTERRUPTED, asks=True) is statuses.STOPPED
