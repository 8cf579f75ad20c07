"""Many runs wait on one thread while workers die: they take their turns in the order in which they were created."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SETUPS, wait_for
from tests.live import Live
from tests.traces import hold, let_go, lines

RUNS = 50


@contextmanager
def _dying_workers(live: Live, *, every_seconds: float) -> Iterator[list[int]]:
    """Kill one of the two workers now and then, the first one and the second one in turns; who was killed."""
    killed: list[int] = []
    enough = threading.Event()

    def kill() -> None:
        while not enough.wait(every_seconds):
            pids = live.pids("worker")
            if len(pids) == 2:  # the one that was killed last has its successor
                pid = sorted(pids)[len(killed) % 2]
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        enough.set()
        killer.join()


@pytest.mark.parametrize("settings_of", SETUPS)
def test_order_of_creation_is_the_order_of_starts(
    settings_of: str, make_server: Callable[..., Live], trace: Path
) -> None:
    """Fifty runs on one thread, a worker killed every two seconds: none is lost, none overtakes another."""
    live = make_server(settings_of, options=["--workers", "2"])
    live.start()
    client = live.client()
    thread = client.threads.create()["thread_id"]
    hold(trace, str(RUNS - 1))
    with _dying_workers(live, every_seconds=2.0) as killed:
        made = [
            dict(client.runs.create(thread, "named", input={"trace": str(trace), "name": str(number), "pause": 0.1}))
            for number in range(RUNS)
        ]
        wait_for(lambda: len(killed) >= 2, what="the end of two workers")
        let_go(trace)
        live.http().get(f"/threads/{thread}/runs/{made[-1]['run_id']}/join", timeout=60).raise_for_status()
    runs = {run["run_id"]: run for run in client.runs.list(thread, limit=2 * RUNS)}
    assert [runs[run["run_id"]]["status"] for run in made] == ["success"] * RUNS
    began = [line.split()[0] for line in lines(trace)]
    assert list(dict.fromkeys(began)) == [str(number) for number in range(RUNS)], "the first line of each run"
    assert began == sorted(began, key=int), "a step that was under way at a kill is repeated, never later than others"
    first_said = [_first_metadata(live, run) for run in made]
    assert first_said == sorted(first_said)
    assert client.threads.get(thread)["status"] == "idle"
    said = client.threads.get_state(thread)["values"]["said"]
    assert said == [f"{number} {step}" for number in range(RUNS) for step in ("first", "second")]


def _first_metadata(live: Live, run: dict[str, Any]) -> str:
    """When a run first said that it had begun."""
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/events"
    events = live.http().get(path, params={"after": 0, "limit": 1}).json()["events"]
    assert [event["event"] for event in events] == ["metadata"]
    return str(events[0]["at"])
