"""Stop means stopped: at each point of a run's life that this release can reach."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import status, until, until_stored
from tests.conftest import wait_for
from tests.live import Live
from tests.traces import hold, let_go, lines


def _start(live: Live, thread: str, graph: str, **given: Any) -> dict[str, Any]:
    run = live.client().runs.create(thread, graph, input=given)
    return dict(run)


def _cancel(live: Live, run: dict[str, Any], **query: Any) -> Any:
    return live.http().post(f"/threads/{run['thread_id']}/runs/{run['run_id']}/cancel", params=query)


def test_running_node_is_cancelled(live: Live, thread: str, trace: Path) -> None:
    """scenario 6: with wait the answer comes when the node has unwound; the thread's next run starts at once."""
    run = _start(live, thread, "stubborn", kind="patient", seconds=60, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    answer = _cancel(live, run, wait=1)
    assert (answer.status_code, answer.json()) == (200, {})
    assert lines(trace) == ["patient started", "patient cancelled"]
    assert status(live, run) == "interrupted"
    assert live.client().threads.get(thread)["status"] == "interrupted"
    assert live.client().runs.wait(thread, "steps", input={})["done"] == ["one", "two", "three", "four"]


def test_state_survives_a_cancel_in_mid_run(live: Live, thread: str, trace: Path) -> None:
    """Finished steps keep their checkpoints."""
    hold(trace, "three")
    run = _start(live, thread, "steps", trace=str(trace))
    until_stored(live, thread, "three")
    _cancel(live, run, wait=1)
    state = live.client().threads.get_state(thread)
    assert state["values"]["done"] == ["one", "two"]
    assert state["next"] == ["three"]


def test_second_click_answers_like_the_first(live: Live, thread: str, trace: Path) -> None:
    """scenario 5"""
    run = _start(live, thread, "stubborn", kind="patient", seconds=60, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    assert [_cancel(live, run).status_code for _ in range(3)] == [202, 202, 202]
    until(live, run, "interrupted")
    assert _cancel(live, run).status_code == 202
    assert _cancel(live, run, wait=1).json() == {}


def test_thread_of_a_sync_node_ends_unheard(live: Live, thread: str, trace: Path) -> None:
    """A sync node cannot be stopped, but its run can: what the node returns later is not stored."""
    hold(trace, "in_thread")
    run = _start(live, thread, "stubborn", kind="in_thread", seconds=0, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    _cancel(live, run, wait=1)
    assert lines(trace) == ["thread started"], "the cancel did not wait for the thread"
    let_go(trace)
    wait_for(lambda: lines(trace)[-1] == "thread ended", what="the thread's end")
    assert "said" not in live.client().threads.get_state(thread)["values"]


def test_node_that_swallows_its_cancel_is_cut_off(live: Live, thread: str, trace: Path) -> None:
    """After ten seconds the run is over without it, and nothing that it still says can be stored."""
    hold(trace, "swallowing")
    run = _start(live, thread, "stubborn", kind="swallowing", seconds=0, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    _cancel(live, run)
    until(live, run, "interrupted")
    assert "swallow ended" not in lines(trace)
    let_go(trace)
    wait_for(lambda: lines(trace)[-1] == "swallow ended", what="the node's end")
    assert "said" not in live.client().threads.get_state(thread)["values"]


def test_run_waiting_behind_another(live: Live, thread: str, trace: Path) -> None:
    """A queued run ends at once and never starts; the running one is not touched."""
    hold(trace, "patient")
    first = _start(live, thread, "stubborn", kind="patient", seconds=0, trace=str(trace))
    second = _start(live, thread, "steps", trace=str(trace))
    assert _cancel(live, second, wait=1).status_code == 200
    assert status(live, second) == "interrupted"
    let_go(trace)
    until(live, first, "success")
    assert lines(trace) == ["patient started"]
    wait_for(lambda: live.client().threads.get(thread)["status"] == "idle", what="an idle thread")


@pytest.mark.parametrize("caught", ["stream", "wait"])
def test_watchers_of_a_cancelled_run_are_told(live: Live, thread: str, trace: Path, caught: str) -> None:
    """A stream just ends; a wait answers the values that were reached."""
    run = _start(live, thread, "stubborn", kind="patient", seconds=60, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    path = f"/threads/{thread}/runs/{run['run_id']}/" + ("join" if caught == "wait" else "stream")
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(live.http().get, path, headers={"Last-Event-ID": "-1"})
        _cancel(live, run, wait=1)
        answer = watching.result(30)
    if caught == "wait":
        assert answer.json()["kind"] == "patient"
    else:
        assert "event: error" not in answer.text


def test_cancel_races_with_the_end(live: Live) -> None:
    """scenario 12: one winner, reported truthfully; the thread is never left busy."""
    http = live.http()
    for pause in (0.0, 0.001, 0.003, 0.01, 0.03) * 4:
        thread = http.post("/threads", json={}).json()["thread_id"]
        run = _start(live, thread, "steps", pause=pause)
        answer = _cancel(live, run, wait=1)
        ended = status(live, run)
        assert (answer.status_code, ended) in {(200, "interrupted"), (404, "success")}
        assert live.client().threads.get(thread)["status"] != "busy"


@pytest.mark.parametrize("kind", ["quitting", "quitting_in_thread", "cancelling_itself"])
def test_node_that_ends_itself_ends_its_run_alone(live: Live, thread: str, kind: str) -> None:
    """sys.exit() and a cancel out of nowhere are the run's failure; the worker and its other runs live on."""
    other = live.client().threads.create()["thread_id"]
    beside = _start(live, other, "steps", pause=0.5)
    until(live, beside, "running")
    workers = live.pids("worker")
    run = _start(live, thread, "stubborn", kind=kind)
    until(live, run, "error")
    until(live, beside, "success")
    assert live.pids("worker") == workers
    assert live.client().runs.get(other, beside["run_id"])["attempt"] == 1


def test_cancel_outlives_the_worker(live: Live, thread: str, trace: Path) -> None:
    """scenario 54: the run's owner dies with the cancel in its hands; the run ends interrupted all the same."""
    run = _start(live, thread, "stubborn", kind="swallowing", seconds=60, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    _cancel(live, run)
    live.kill("worker")
    until(live, run, "interrupted")
    assert lines(trace).count("swallow started") == 1


def test_deleted_thread_stops_its_run(live: Live, thread: str, trace: Path) -> None:
    """scenario 17: the thread is gone at once, its run is cancelled, and nothing brings it back."""
    _start(live, thread, "stubborn", kind="patient", seconds=60, trace=str(trace))
    wait_for(lambda: lines(trace), what="the node's start")
    assert live.http().delete(f"/threads/{thread}").status_code == 204
    assert live.http().get(f"/threads/{thread}").status_code == 404
    wait_for(lambda: lines(trace)[-1] == "patient cancelled", what="the node's cancel")
    assert live.http().get(f"/threads/{thread}/state").status_code == 404
    again = wait_for(
        lambda: live.http().post("/threads", json={"thread_id": thread}).is_success, what="the id to be free"
    )
    assert again
    live.client().runs.wait(thread, "steps", input={})
    assert live.client().threads.get_state(thread)["values"]["done"] == ["one", "two", "three", "four"]
