"""What a new run does to the runs that its thread has in flight, and runs that start later."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.chaos.conftest import status, until, until_stored
from tests.conftest import wait_for
from tests.live import Live
from tests.traces import hold, lines


def _start(live: Live, thread: str, graph: str, given: dict[str, Any], **options: Any) -> dict[str, Any]:
    return dict(live.client().runs.create(thread, graph, input=given, **options))


def test_interrupt_stops_what_runs_and_starts_after_it(live: Live, thread: str, trace: Path) -> None:
    """scenario 4: the new run starts only after the old node has really unwound, on what it has left."""
    given = {"kind": "patient", "seconds": 60, "trace": str(trace)}
    old = _start(live, thread, "stubborn", given)
    wait_for(lambda: lines(trace), what="the old run's node")
    waiting = _start(live, thread, "steps", {"trace": str(trace)})
    new = _start(live, thread, "steps", {"trace": str(trace)}, multitask_strategy="interrupt")
    until(live, new, "success")
    assert [status(live, run) for run in (old, waiting)] == ["interrupted", "interrupted"]
    assert lines(trace) == ["patient started", "patient cancelled", "one", "two", "three", "four"]


def test_interrupt_keeps_the_finished_steps(live: Live, thread: str, trace: Path) -> None:
    """The displaced run's checkpoints stay, and the new input comes after them."""
    hold(trace, "three")
    _start(live, thread, "steps", {"trace": str(trace)})
    until_stored(live, thread, "three")
    values = live.client().runs.wait(thread, "steps", input={"trace": ""}, multitask_strategy="interrupt")
    assert values["done"] == ["one", "two", "one", "two", "three", "four"]


def test_delayed_run_starts_when_it_is_due(live: Live, thread: str, trace: Path) -> None:
    """Not before, and its row tells when that is."""
    asked_at = time.monotonic()
    delayed = _start(live, thread, "steps", {"trace": str(trace)}, after_seconds=2)
    until(live, delayed, "success")
    assert time.monotonic() - asked_at >= 2
    shown = live.client().runs.get(thread, delayed["run_id"])
    gap = datetime.fromisoformat(shown["run_at"]) - datetime.fromisoformat(shown["created_at"])
    assert 1.9 < gap.total_seconds() < 2.5


def test_delayed_run_can_be_cancelled(live: Live, thread: str, trace: Path) -> None:
    """Its thread is busy at once, other runs are not held up; it never starts, and its thread is idle again."""
    delayed = _start(live, thread, "steps", {"trace": str(trace)}, after_seconds=3600)
    assert live.client().threads.get(thread)["status"] == "busy"
    live.client().runs.wait(thread, "chat", input={"messages": []})
    assert status(live, delayed) == "pending"
    live.http().post(f"/threads/{thread}/runs/{delayed['run_id']}/cancel?wait=1")
    assert status(live, delayed) == "interrupted"
    assert live.client().threads.get(thread)["status"] == "idle"
    assert lines(trace) == []
