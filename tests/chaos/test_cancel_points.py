"""Stop at the rarer points of a run's life, and deletion of runs."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import status, until
from tests.conftest import wait_for
from tests.dumps import seen, stored
from tests.factories import at_once
from tests.live import Live
from tests.traces import lines

ACTIONS = ("interrupt", "rollback")


def _start(live: Live, thread: str, graph: str, given: Any = None, **options: Any) -> dict[str, Any]:
    return dict(live.client().runs.create(thread, graph, input=given, **options))


def _path(run: dict[str, Any]) -> str:
    return f"/threads/{run['thread_id']}/runs/{run['run_id']}"


def _cancel(live: Live, run: dict[str, Any], action: str, *, wait: int = 1) -> Any:
    return live.http().post(f"{_path(run)}/cancel", params={"wait": wait, "action": action})


def _is_over(live: Live, run: dict[str, Any], action: str) -> bool:
    """The run is what a cancel with this action has to make of it."""
    found = live.http().get(_path(run))
    return found.status_code == 404 if action == "rollback" else found.json()["status"] == "interrupted"


def _goes_on(live: Live, thread: str) -> bool:
    """The thread is free: its next run succeeds."""
    return bool(live.client().runs.wait(thread, "steps", input={})["done"][-1] == "four")


@pytest.mark.parametrize("action", ACTIONS)
def test_claimed_but_not_started(live: Live, thread: str, tmp_path: Path, action: str) -> None:
    """While its graph is still being made."""
    hold = tmp_path / "hold"
    hold.touch()
    run = _start(live, thread, "slow_to_open", {}, config={"configurable": {"hold": str(hold)}})
    wait_for(hold.with_suffix(".opened").exists, what="the factory's call")
    assert status(live, run) == "running"
    hold.unlink()
    hold.touch()
    canceller = live.http().post(f"{_path(run)}/cancel", params={"wait": 0, "action": action})
    assert canceller.status_code == 202
    if action == "interrupt":
        hold.unlink()  # the state of what it leaves is read with its graph
    wait_for(lambda: _is_over(live, run, action), what="its end")
    assert live.client().threads.get_state(thread)["values"] == {}
    assert _goes_on(live, thread)


@pytest.mark.parametrize("action", ACTIONS)
def test_inside_a_subgraph(live: Live, thread: str, trace: Path, action: str) -> None:
    """The node of the inner graph is cancelled, and the outer one is where it was."""
    given = {"kind": "patient", "seconds": 60, "trace": str(trace)}
    run = _start(live, thread, "patient_inside", given)
    wait_for(lambda: lines(trace), what="the inner node's start")
    assert _cancel(live, run, action).status_code == 200
    assert lines(trace)[-1] == "patient cancelled"
    assert _is_over(live, run, action)
    assert live.client().threads.get_state(thread)["next"] == (["inside"] if action == "interrupt" else [])
    assert _goes_on(live, thread)


@pytest.mark.parametrize("mount", ["", "/api"])
def test_at_an_interrupt(live: Live, thread: str, mount: str) -> None:
    """A run that stopped to ask has ended; a cancel comes too late, and the question stays open."""
    run = _start(live, thread, "asking", {})
    until(live, run, "success")
    answer = live.http(mount).post(f"{_path(run)}/cancel?action=rollback&wait=1")
    assert answer.status_code == (409 if mount else 404)
    assert live.client().runs.wait(thread, "asking", command={"resume": "yes"})["log"] == ["before", "yes"]


@pytest.mark.parametrize("action", ACTIONS)
def test_during_a_drain(live: Live, thread: str, trace: Path, action: str) -> None:
    """The worker that waits for a checkpoint stops the run instead of handing it over."""
    run = _start(live, thread, "stubborn", {"kind": "patient", "seconds": 60, "trace": str(trace)})
    wait_for(lambda: lines(trace), what="the node's start")
    (worker,) = live.pids("worker")
    os.kill(worker, signal.SIGTERM)
    assert _cancel(live, run, action).status_code == 200
    assert lines(trace) == ["patient started", "patient cancelled"]
    assert _is_over(live, run, action)
    assert _goes_on(live, thread)


def test_two_callers_with_different_actions(live: Live) -> None:
    """The first mark counts, both are told that it is stopping, and the run is either interrupted or gone."""
    ended: set[int] = set()
    for _ in range(6):
        thread = live.client().threads.create()["thread_id"]
        run = _start(live, thread, "steps", {"pause": 30.0})
        until(live, run, "running")
        answers = at_once(*(partial(_cancel, live, run, action) for action in ACTIONS))
        assert [answer.status_code for answer in answers] == [200, 200]
        found = live.http().get(_path(run))
        assert found.status_code == 404 or found.json()["status"] == "interrupted"
        assert live.client().threads.get(thread)["status"] != "busy"
        ended.add(found.status_code)
    assert ended <= {200, 404}


def test_many_at_once(live: Live, thread: str) -> None:
    """Bulk cancel stops what waits and what runs."""
    runs = [_start(live, thread, "steps", {"pause": 30.0}) for _ in range(3)]
    until(live, runs[0], "running")
    body = {"thread_id": thread, "run_ids": [run["run_id"] for run in runs]}
    assert live.http().post("/runs/cancel", json=body).status_code == 204
    for run in runs:
        until(live, run, "interrupted")


def test_cancelled_stateless_run_answers_twice(live: Live, trace: Path) -> None:
    """Its row went with its thread; the second click is answered like the first all the same."""
    given = {"kind": "patient", "seconds": 60, "trace": str(trace)}
    run = dict(live.client().runs.create(None, "stubborn", input=given))
    wait_for(lambda: lines(trace), what="the node's start")
    assert _cancel(live, run, "interrupt").status_code == 200
    assert live.http().get(_path(run)).status_code == 404
    assert _cancel(live, run, "interrupt").status_code == 200


def test_running_run_is_deleted(live: Live, thread: str, trace: Path) -> None:
    """It is stopped, and nothing of it is left."""
    before = stored(live, thread), seen(live, thread)
    run = _start(live, thread, "stubborn", {"kind": "patient", "seconds": 60, "trace": str(trace)})
    wait_for(lambda: lines(trace), what="the node's start")
    assert live.http().delete(_path(run)).status_code == 204
    assert lines(trace)[-1] == "patient cancelled"
    assert (stored(live, thread), seen(live, thread)) == before


def test_ended_runs_are_deleted(live: Live, thread: str) -> None:
    """With their checkpoints: the thread shows what the run before has left, the question it answered is open again."""
    asking = _start(live, thread, "asking", {})
    until(live, asking, "success")
    before = stored(live, thread), seen(live, thread)
    answering = _start(live, thread, "asking", command={"resume": "yes"})
    until(live, answering, "success")
    assert live.http().delete(_path(answering)).status_code == 204
    now = stored(live, thread), seen(live, thread)
    for shown in (before[1], now[1]):
        del shown["thread"]["state_updated_at"]
    assert now[1] == before[1]
    assert {t: rows for t, rows in now[0].items() if t != "thread"} == {
        t: rows for t, rows in before[0].items() if t != "thread"
    }
    assert live.http().delete(_path(asking)).status_code == 204
    assert live.client().threads.get_state(thread)["values"] == {}
    assert live.client().runs.list(thread) == []
