"""User code that is not asynchronous runs in threads that end with the process."""

import threading

import pytest

from deerflow.dispatch.user_threads import DaemonThreads

PATIENCE = 40


def test_daemon_threads_starts_no_more_threads_than_needed_or_allowed():
    threads, release = DaemonThreads(2, "t"), threading.Event()
    first = threads.submit(release.wait, PATIENCE)
    assert len(threads._started) == 1
    others = [threads.submit(release.wait, PATIENCE) for _ in range(3)]
    assert len(threads._started) == 2
    release.set()
    assert all(future.result(PATIENCE) for future in [first, *others])
    with pytest.raises(ValueError, match="invalid literal"):
        threads.submit(int, "x").result(PATIENCE)
    threads.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(int, "7")


def test_daemon_threads_drops_waiting_calls_when_told_to():
    threads, release = DaemonThreads(1, "t"), threading.Event()
    running, waiting = [threads.submit(release.wait, PATIENCE) for _ in range(2)]
    threads.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    release.set()
    assert running.result(PATIENCE)
