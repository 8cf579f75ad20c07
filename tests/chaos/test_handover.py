"""A worker that stops, freezes or keeps crashing."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import status, until, until_stored
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import frames_of, read_frames
from tests.traces import hold, let_go, lines


@pytest.fixture
def second(live: Live) -> Iterator[subprocess.Popen[bytes]]:
    """A second worker beside the server's own; ready when it has taken its first look at the queue.

    Told to stop it waits for its tasks for longer than any test lasts.
    """
    started = len(live.log.read_text(errors="replace"))
    process = live.extra_worker(DEERFLOW_DRAIN_SECONDS="90")
    wait_for(lambda: "extra@" in live.log.read_text(errors="replace")[started:], what="the second worker")
    yield process
    process.terminate()
    process.wait(95)


def _start(live: Live, thread: str, trace: Path, pause: float = 0.0) -> dict[str, Any]:
    body = {"trace": str(trace), "pause": pause}
    return dict(live.client().runs.create(thread, "steps", input=body, stream_mode=["updates", "custom"]))


def _events(live: Live, run: dict[str, Any]) -> list[Any]:
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    with live.http().stream("GET", path, headers={"Last-Event-ID": "-1"}) as response:
        return list(read_frames(response))


def test_stopping_worker_hands_over_at_its_next_checkpoint(
    live: Live, second: subprocess.Popen[bytes], thread: str, trace: Path
) -> None:
    """SIGTERM to the worker that holds the run: another one goes on, no node runs twice, no crash is charged."""
    hold(trace, "two")
    run = _start(live, thread, trace)
    until_stored(live, thread, "two")
    told = len(live.log.read_text(errors="replace"))
    os.kill(_holder(live, run, second.pid), signal.SIGTERM)
    draining = "The worker stops when these tasks have ended"
    wait_for(lambda: draining in live.log.read_text(errors="replace")[told:], what="the beginning of its end")
    let_go(trace)
    until(live, run, "success")
    frames = _events(live, run)
    assert lines(trace) == ["one", "two", "three", "four"]
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
    assert [data["attempt"] for data in frames_of(frames, "metadata")] == [1, 2]


def _holder(live: Live, run: dict[str, Any], second: int) -> int:
    """Which of the two workers claimed the run, by what each says in the log."""

    def claims() -> list[str]:
        told = live.log.read_text(errors="replace").splitlines()
        return [line for line in told if run["run_id"] in line and "Run claimed" in line]

    wait_for(claims, what="the claim in the log")
    return live.pids("worker")[0] if "worker=worker-" in claims()[-1] else second


def test_frozen_worker_stores_nothing_more(
    live: Live, second: subprocess.Popen[bytes], thread: str, trace: Path
) -> None:
    """scenario 11, 59: frozen for longer than its lease, then woken: its successor's result stands alone."""
    hold(trace, "two")
    run = _start(live, thread, trace)
    until_stored(live, thread, "two")
    frozen = _holder(live, run, second.pid)
    os.kill(frozen, signal.SIGSTOP)
    let_go(trace)
    try:
        wait_for(lambda: live.client().runs.get(thread, run["run_id"])["attempt"] == 2, what="the second attempt")
        wait_for(lambda: len(lines(trace)) >= 3, what="steps of the second attempt")
    finally:
        os.kill(frozen, signal.SIGCONT)
    until(live, run, "success")
    frames = _events(live, run)
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
    assert [data["attempt"] for data in frames_of(frames, "metadata")] == [1, 2]
    assert [next(iter(data)) for data in frames_of(frames, "updates")] == ["one", "two", "three", "four"]
    history = live.client().threads.get_state(thread)
    assert history["values"]["done"] == ["one", "two", "three", "four"]


def test_run_that_kills_its_worker_ends_as_error(live: Live, thread: str, trace: Path) -> None:
    """After three losses without a new checkpoint the run gives up and its thread is free."""
    run = dict(live.client().runs.create(thread, "stubborn", input={"kind": "poison", "trace": str(trace)}))
    until(live, run, "error", seconds=90)
    assert lines(trace) == ["poison"] * 3
    found = live.client().runs.get(thread, run["run_id"])
    assert found["error"]["error"] == "WorkerLost"
    assert live.client().threads.get(thread)["status"] == "error"
    until(live, dict(live.client().runs.create(thread, "steps", input={})), "success")


def test_enqueued_runs_keep_their_order_when_a_worker_dies(live: Live, thread: str, trace: Path) -> None:
    """Ten runs of one thread, the worker killed in between: all run, in the order of their creation."""
    traces = [trace.with_name(f"t{number}") for number in range(10)]
    hold(traces[2], "two")
    runs = [_start(live, thread, each, pause=0.05) for each in traces]
    until(live, runs[2], "running")
    live.kill("worker")
    let_go(traces[2])
    for run in runs:
        until(live, run, "success")
    found = live.client().runs.list(thread, limit=20)
    assert [r["run_id"] for r in found] == [r["run_id"] for r in reversed(runs)]
    ends = [r["updated_at"] for r in reversed(found)]
    assert ends == sorted(ends)


def test_a_draining_worker_keeps_no_ring_to_itself(live: Live, second: subprocess.Popen[bytes], trace: Path) -> None:
    """It has asked Redis for one more message before it was told to stop; that goes on to the others at once."""
    slow, trace = _held_by_the_second(live, second, trace)
    others = [str(live.client().threads.create()["thread_id"]) for _ in range(4)]
    second.terminate()
    for number, other in enumerate(others):
        until(live, _start(live, other, trace.with_name(f"t{number}")), "success")
    assert status(live, slow) == "running"
    assert second.poll() is None, "it waits for what it has begun"
    let_go(trace)
    until(live, slow, "success")
    assert lines(trace) == ["one", "two", "three", "four"]


def _held_by_the_second(live: Live, second: subprocess.Popen[bytes], trace: Path) -> tuple[dict[str, Any], Path]:
    """A run that the second worker has taken, in its first step, and its trace; the two take what comes in turns."""
    for number in range(20):
        own = trace.with_name(f"slow{number}")
        hold(own, "one")
        run = _start(live, str(live.client().threads.create()["thread_id"]), own)
        wait_for(lambda run=run: _has_begun(live, run), what="the first step")  # sooner told to stop, it hands over
        if _holder(live, run, second.pid) == second.pid:
            return run, own
    raise AssertionError("the second worker takes nothing")


def _has_begun(live: Live, run: dict[str, Any]) -> bool:
    """Whether a step of the run has said so."""
    told = live.http().get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/events").json()["events"]
    return any(each["event"] == "custom" for each in told)
