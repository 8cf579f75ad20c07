"""A worker is killed in the middle of a run: nothing is lost, nothing comes twice, the same stream goes on."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chaos.conftest import until_acknowledged, until_stored
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import Frame, frames_of, read_frames
from tests.traces import hold, let_go, lines

PAYLOAD = {
    "assistant_id": "steps",
    "stream_mode": ["values", "updates", "custom"],
}


def _create(live: Live, thread: str, trace: Path, pause: float = 0.0) -> dict[str, Any]:
    body = PAYLOAD | {"input": {"trace": str(trace), "pause": pause}}
    return live.http().post(f"/threads/{thread}/runs", json=body).json()


def _follow(live: Live, run: dict[str, Any], last_id: str = "-1") -> list[Frame]:
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    with live.http().stream("GET", path, headers={"Last-Event-ID": last_id}) as response:
        return list(read_frames(response))


def test_stream_goes_on_by_itself(live: Live, thread: str, trace: Path) -> None:
    """scenario 9: the open stream continues with the next id, and no finished node runs again."""
    hold(trace, "three")
    body = PAYLOAD | {"input": {"trace": str(trace)}}
    seen: list[Frame] = []
    with live.http().stream("POST", f"/threads/{thread}/runs/stream", json=body) as response:
        for frame in read_frames(response):
            seen.append(frame)
            if frame.event == "custom" and frame.data == {"step": "three"} and len(seen) < 12:
                until_stored(live, thread, "three")
                live.kill("worker")
                let_go(trace)
    assert [f.id for f in seen] == list(range(1, len(seen) + 1))
    assert [f.data["attempt"] for f in seen if f.event == "metadata"] == [1, 2]
    assert lines(trace) == ["one", "two", "three", "four"]
    assert [next(iter(f.data)) for f in seen if f.event == "updates"] == ["one", "two", "three", "four"]
    assert seen[-1].data["done"] == ["one", "two", "three", "four"]
    (run,) = live.client().runs.list(thread)
    assert run["status"] == "success"
    assert f"Worker lost run_id={run['run_id']}" in live.log.read_text()


def test_fork_is_resumed_and_not_forked_again(live: Live, thread: str, trace: Path) -> None:
    """A run that began at an older checkpoint goes on in its own branch: one fork, each of its nodes once."""
    http = live.http()
    body = PAYLOAD | {"input": {"trace": str(trace)}, "interrupt_before": ["three"]}
    http.post(f"/threads/{thread}/runs/wait", json=body)
    history = live.client().threads.get_history(thread, limit=20)
    older = next(state for state in history if state["next"] == ["two"])
    hold(trace, "three")
    fork = PAYLOAD | {"input": None, "checkpoint": older["checkpoint"]}
    run = http.post(f"/threads/{thread}/runs", json=fork).json()
    wait_for(lambda: lines(trace) == ["one", "two", "two"], what="the fork's first step")
    until_stored(live, thread, "three")
    live.kill("worker")
    let_go(trace)
    frames = _follow(live, run)
    assert [f.data["attempt"] for f in frames if f.event == "metadata"] == [1, 2]
    assert frames[-1].data["done"] == ["one", "two", "three", "four"]
    assert lines(trace) == ["one", "two", "two", "three", "four"]
    ours = [
        state
        for state in live.client().threads.get_history(thread, limit=30)
        if (state["metadata"] or {}).get("run_id") == run["run_id"]
    ]
    assert [state["next"] for state in ours if state["parent_checkpoint"] == older["checkpoint"]] == [["two"]], ours
    assert [state["next"] for state in ours] == [[], ["four"], ["three"], ["two"]]


def test_other_readers_get_exactly_the_rest(live: Live, thread: str, trace: Path) -> None:
    """scenario 25: whoever comes back with Last-Event-ID, also after a cut in the middle of a frame, misses nothing."""
    hold(trace, "two")
    run = _create(live, thread, trace)
    cut_at = _read_and_cut_inside_a_frame(live, run)
    until_stored(live, thread, "two")
    live.kill("worker")
    let_go(trace)
    with ThreadPoolExecutor() as pool:
        early = pool.submit(_follow, live, run, "-1")
        late = pool.submit(_follow, live, run, str(cut_at))
        everything, rest = early.result(60), late.result(60)
    assert [f.id for f in everything] == list(range(1, len(everything) + 1))
    assert rest == everything[cut_at:]
    assert lines(trace) == ["one", "two", "three", "four"]


def _read_and_cut_inside_a_frame(live: Live, run: dict[str, Any]) -> int:
    """Read the stream on a bare socket, close it after half a frame; the id of the last whole one."""
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}/stream"
    received = b""
    with live.send("GET", path, Last_Event_ID="-1") as connection:
        while received.count(b"event: updates") < 1:
            received += connection.recv(1)
        received += connection.recv(10)
    whole = received.rpartition(b"\r\n\r\n")[0]
    return int(whole.rpartition(b"id: ")[2].split(b"\r\n")[0])


def test_waiting_client_gets_the_answer(live: Live, thread: str, trace: Path) -> None:
    """A wait that was open when the worker died answers the values of the whole run."""
    hold(trace, "two")
    body = PAYLOAD | {"input": {"trace": str(trace)}}
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(live.http().post, f"/threads/{thread}/runs/wait", json=body, timeout=60)
        until_stored(live, thread, "two")
        live.kill("worker")
        let_go(trace)
        assert waiting.result(60).json()["done"] == ["one", "two", "three", "four"]


def test_many_runs_survive_their_worker(live: Live, trace: Path) -> None:
    """Thirty runs held by the killed worker all end, each node's line once per run."""
    http = live.http()
    runs = []
    for number in range(30):
        thread = http.post("/threads", json={}).json()["thread_id"]
        own = trace.with_name(f"trace{number}")
        runs.append((_create(live, thread, own, pause=0.5), own))
    wait_for(lambda: all(lines(own) for _, own in runs), what="every run's first step")
    live.kill("worker")
    for run, own in runs:
        answer = http.get(f"/threads/{run['thread_id']}/runs/{run['run_id']}/join", timeout=60).json()
        assert answer["done"] == ["one", "two", "three", "four"]
        again = Counter(lines(own))
        assert set(again) == {"one", "two", "three", "four"}
        assert sum(again.values()) <= 5, "at most the step that was under way runs again"


@pytest.mark.parametrize("kind", ["web", "state", "clock"])
def test_any_other_process_may_die(live: Live, thread: str, trace: Path, kind: str) -> None:
    """The run goes on; a client of a dead web process comes back and gets the rest."""
    hold(trace, "two")
    run = _create(live, thread, trace)
    wait_for(lambda: lines(trace), what="the first step")
    live.kill(kind)
    let_go(trace)
    wait_for(lambda: _answers(live), what="the web process")
    frames = _follow(live, run)
    assert [f.id for f in frames] == list(range(1, len(frames) + 1))
    assert lines(trace) == ["one", "two", "three", "four"]
    wait_for(lambda: _state_answers(live, thread), what="the state worker")


def _answers(live: Live) -> bool:
    try:
        return live.http().get("/ok", timeout=2).is_success
    except httpx.TransportError:
        return False


def _state_answers(live: Live, thread: str) -> bool:
    answer = live.http().get(f"/threads/{thread}/state")
    return answer.is_success and bool(answer.json()["values"]["done"])


def test_killed_redis_loses_nothing(live: Live, thread: str, trace: Path) -> None:
    """scenario 57: the embedded Valkey is killed during a run: it comes back with the log, and the stream goes on."""
    hold(trace, "two")
    run = _create(live, thread, trace)
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(_follow, live, run)
        wait_for(lambda: lines(trace), what="the first step")
        until_acknowledged(live, run["run_id"])
        live.kill("valkey")
        let_go(trace)
        frames = reader.result(60)
    assert [f.id for f in frames] == list(range(1, len(frames) + 1))
    assert frames[-1].data["done"] == ["one", "two", "three", "four"]
    assert lines(trace) == ["one", "two", "three", "four"]
    assert frames_of(frames, "metadata") == [{"run_id": run["run_id"], "attempt": 1}]
