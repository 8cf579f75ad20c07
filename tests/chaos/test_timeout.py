"""A run's time is bounded, whatever workers have it."""

import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import until
from tests.conftest import SETUPS, wait_for
from tests.live import Live
from tests.traces import lines


def _start(live: Live, **given: Any) -> dict[str, Any]:
    thread = live.client().threads.create()["thread_id"]
    return dict(live.client().runs.create(thread, "stubborn", input={"seconds": 60, **given}))


@pytest.mark.parametrize("settings_of", SETUPS)
def test_run_that_takes_too_long(settings_of: str, make_server: Callable[..., Live], trace: Path) -> None:
    """It ends as timeout: row, thread, stream and join say so; time under a dead worker counts; the thread is free."""
    live = make_server(settings_of, DEERFLOW_RUN_TIMEOUT_SECONDS="8")
    live.start()
    asleep, moved = _start(live, kind="patient", trace=str(trace)), _start(live, kind="in_thread", trace=str(trace))
    wait_for(lambda: len(lines(trace)) == 2, what="both runs under way")
    (worker,) = live.pids("worker")
    os.kill(worker, signal.SIGKILL)
    for run in (asleep, moved):
        until(live, run, "timeout")
        path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
        found = live.http().get(path).json()
        told = {"error": "TimeoutError", "message": "The run took longer than the 8 seconds that it may take."}
        assert (found["error"], found["attempt"]) == (told, 2)
        assert live.http().get(f"{path}/join").json() == {"__error__": told}
        replay = live.http().get(f"{path}/stream", headers={"Last-Event-ID": "-1"}).text
        assert "event: error\r\ndata: " + '{"error":"TimeoutError"' in replay
        assert live.client().threads.get(run["thread_id"])["status"] == "error"
        assert live.client().runs.wait(run["thread_id"], "steps", input={})["done"][-1] == "four"
        took = datetime.fromisoformat(found["updated_at"]) - datetime.fromisoformat(found["created_at"])
        assert took.total_seconds() >= 8
