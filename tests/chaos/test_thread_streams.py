"""A thread's stream outlives the worker that tells: the same connection goes on, and so does one that comes later."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.chaos.conftest import until_stored
from tests.live import Live
from tests.sse import Frame, read_frames
from tests.traces import hold, let_go, lines

WANTED = {"channels": ["lifecycle", "values", "custom", "checkpoints"]}


def _until_over(response: httpx.Response, seen: list[Frame], act: Any = None) -> None:
    for frame in read_frames(response):
        seen.append(frame)
        if act is not None:
            act(frame)
        if frame.event == "lifecycle" and frame.data["params"]["data"]["event"] == "completed":
            return


def test_a_killed_worker_is_a_pause_of_the_threads_stream(live: Live, trace: Path) -> None:
    """One beginning, one end, each node once, no event twice; who comes later hears the same."""
    thread, killed, seen, again = str(uuid4()), [], [], []
    hold(trace, "three")
    params = {"assistant_id": "steps", "input": {"trace": str(trace)}}
    http = live.http()
    started = http.post(f"/threads/{thread}/commands", json={"id": 1, "method": "run.start", "params": params}).json()

    def kill_once(frame: Frame) -> None:
        if frame.event == "custom" and frame.data["params"]["data"]["payload"] == {"step": "three"} and not killed:
            until_stored(live, thread, "three")
            killed.append(live.kill("worker"))
            let_go(trace)

    with http.stream("POST", f"/threads/{thread}/stream/events", json=WANTED) as response:
        _until_over(response, seen, kill_once)
    with http.stream("POST", f"/threads/{thread}/stream/events", json=WANTED) as response:
        _until_over(response, again)
    assert killed
    assert seen == again
    assert lines(trace) == ["one", "two", "three", "four"]
    ids = [frame.data["event_id"] for frame in seen]
    assert len(ids) == len(set(ids))
    assert [frame.id for frame in seen] == sorted(frame.id for frame in seen)
    told = [frame.data for frame in seen if frame.event == "lifecycle"]
    assert [each["params"]["data"]["event"] for each in told] == ["running", "completed"]
    assert {each["event_id"].split(":")[1] for each in told} == {started["result"]["run_id"]}
    values = [frame.data["params"]["data"] for frame in seen if frame.event == "values"]
    assert values[-1]["done"] == ["one", "two", "three", "four"]
