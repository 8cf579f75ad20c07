"""Runs without a thread: created, streamed, waited for, and really gone or kept."""

from typing import Any

import pytest

from deerflow.api.mounts import GATEWAY, MOUNTS, PLATFORM, Mount
from tests.chaos.conftest import until
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import read_frames

by_mount = pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.name)


def _gone(live: Live, thread: str) -> bool:
    return live.http().get(f"/threads/{thread}").status_code == 404


@by_mount
def test_stream(live: Live, mount: Mount) -> None:
    """Headers name the run alone; the stream can be taken up again by it, also when the thread has gone."""
    body = {"assistant_id": "steps", "input": {}, "stream_mode": "updates", "on_completion": "delete"}
    with live.http().stream("POST", f"{mount.prefix}/runs/stream", json=body) as response:
        frames = list(read_frames(response))
    assert [frame.event for frame in frames] == ["metadata", *["updates"] * 4]
    run = frames[0].data["run_id"]
    assert response.headers["Content-Location"] == f"{mount.prefix}/runs/{run}"
    assert response.headers["Location"] == f"/runs/{run}/stream"
    with live.http().stream("GET", f"{mount.prefix}/runs/{run}/stream", headers={"Last-Event-ID": "2"}) as again:
        assert list(read_frames(again)) == frames[2:]


@by_mount
@pytest.mark.parametrize("on_completion", ["delete", "keep", None])
def test_thread_is_gone_or_kept(live: Live, mount: Mount, on_completion: str | None) -> None:
    """The default differs by mount; a kept thread has its state, a deleted one is as if it never was."""
    body: dict[str, Any] = {"assistant_id": "steps", "input": {}}
    if on_completion:
        body["on_completion"] = on_completion
    answer = live.http().post(f"{mount.prefix}/runs", json=body)
    run = answer.json()
    assert answer.headers["Content-Location"] == f"{mount.prefix}/runs/{run['run_id']}"
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
    assert live.http().get(f"{path}/join").json()["done"] == ["one", "two", "three", "four"]
    kept = (on_completion or ("keep" if mount is GATEWAY else "delete")) == "keep"
    if kept:
        until(live, run, "success")
        assert live.client().threads.get_state(run["thread_id"])["values"]["done"]
    else:
        assert _gone(live, run["thread_id"])
        assert live.http().get(path).status_code == 404
        assert live.http().get(f"{path}/join").json()["done"], "what it left can still be read"


def test_wait(live: Live) -> None:
    """The SDK's way, with a failure too."""
    assert live.client().runs.wait(None, "steps", input={})["done"] == ["one", "two", "three", "four"]
    failed = live.http().post("/runs/wait", json={"assistant_id": "faulty", "input": {"kind": "told"}}).json()
    assert failed == {"__error__": {"error": "ValueError", "message": "boom happened"}}


def test_batch(live: Live) -> None:
    """A list of runs, in their order; an empty one or one bad body starts nothing."""
    bodies = [{"assistant_id": "steps", "input": {}, "on_completion": "keep"} for _ in range(3)]
    runs = live.http().post("/runs/batch", json=bodies).json()
    assert len({run["thread_id"] for run in runs}) == 3
    for run in runs:
        until(live, run, "success")
    assert live.http().post("/runs/batch", json=[]).status_code == 422
    assert live.http().post("/runs/batch", json=[*bodies, 5]).status_code == 422
    assert live.http().post("/runs/batch", json={}).status_code == 422


def test_resume_needs_a_thread(live: Live) -> None:
    """There is nothing to resume."""
    answer = live.http().post("/runs/wait", json={"assistant_id": "asking", "command": {"resume": "yes"}})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "You must provide a thread_id when resuming."


def test_cancelled_one_goes_too(live: Live) -> None:
    """Cancelled in mid-run or before it started: its thread does not stay behind."""
    given = {"assistant_id": "stubborn", "input": {"kind": "patient", "seconds": 60}}
    running = live.http().post("/runs", json=given).json()
    wait_for(lambda: _status(live, running) == "running", what="the start")
    delayed = live.http().post("/runs", json=given | {"after_seconds": 600}).json()
    for run in (running, delayed):
        answer = live.http().post(f"/threads/{run['thread_id']}/runs/{run['run_id']}/cancel?wait=1")
        assert answer.status_code == 200
        wait_for(lambda run=run: _gone(live, run["thread_id"]), what="the thread's end")


def test_strangers_run_is_unknown(live: Live) -> None:
    """An id that is nobody's run."""
    path = f"{PLATFORM.prefix}/runs/01932c07-0000-7000-8000-000000000001/stream"
    assert live.http().get(path).status_code == 404


def _status(live: Live, run: dict[str, Any]) -> str:
    return str(live.http().get(f"/threads/{run['thread_id']}/runs/{run['run_id']}").json().get("status"))
