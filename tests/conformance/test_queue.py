"""Several runs on one thread, and stopping them."""

from pathlib import Path

import pytest

from deerflow.api.mounts import GATEWAY, Mount
from tests.conformance.conftest import Wire, by_mount
from tests.conftest import wait_for
from tests.sse import read_frames
from tests.traces import hold, lines

PATIENT = {"kind": "patient", "seconds": 60}


def test_order(wire: Wire) -> None:
    """Twenty runs that were enqueued on one thread run one after the other, in the order of their creation."""
    made = [
        wire.create("chat", input={"messages": [{"role": "user", "content": str(n), "id": f"h{n}"}]}) for n in range(20)
    ]
    wire.until(made[-1], "success")
    messages = wire.http.get(f"/threads/{wire.thread}").json()["values"]["messages"]
    assert [m["content"] for m in messages if m["type"] == "human"] == [str(n) for n in range(20)]
    assert [m["type"] for m in messages] == ["human", "ai"] * 20
    listed = wire.http.get(f"/threads/{wire.thread}/runs?limit=20").json()
    assert [run["run_id"] for run in listed] == made[::-1]
    assert {run["status"] for run in listed} == {"success"}


def test_next_run_starts_when_one_is_stopped(wire: Wire) -> None:
    """scenario 4: the message right after Stop takes its turn when the stopped run has really ended."""
    stopped = wire.create("stubborn", input=PATIENT)
    wire.until(stopped, "running")
    waiting = wire.create("steps", input={"pause": 0.0})
    wire.http.post(f"{wire.path(stopped)}/cancel")
    wire.until(waiting, "success")
    assert wire.status(stopped) == "interrupted"


@by_mount
def test_stop_and_wait(wire: Wire, mount: Mount) -> None:
    """A cancel that waits is answered when the run has stopped, in the words of the mount."""
    config = {"configurable": {"words": 600, "pause": 0.1}}
    run_id = wire.create("chat", input={"messages": []}, config=config, stream_mode="messages-tuple")
    wire.until(run_id, "running")
    answer = wire.http.post(f"{mount.prefix}{wire.path(run_id)}/cancel?wait=true")
    expected = {"platform": (200, b"{}"), "gateway": (204, b"")}
    assert (answer.status_code, answer.read()) == expected[mount.name]
    assert wire.status(run_id) == "interrupted"


@by_mount
def test_stop_without_waiting(wire: Wire, mount: Mount) -> None:
    """A cancel that does not wait is answered at once; the stream of a stopped run just ends."""
    run_id = wire.create("stubborn", input=PATIENT)
    with wire.open("GET", run_id, "/stream", headers={"Last-Event-ID": "-1"}) as stream:
        frames = read_frames(stream)
        assert next(frames).event == "metadata"
        answer = wire.http.post(f"{mount.prefix}{wire.path(run_id)}/cancel")
        assert (answer.status_code, answer.read()) == (202, b"")
        assert {frame.event for frame in frames} <= {"values"}
    assert wire.status(run_id) == "interrupted"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_stop_and_stream_the_rest(wire: Wire, method: str) -> None:
    """The gateway's stream with ``action`` stops the run and tells what was said until then."""
    run_id = wire.create("stubborn", input=PATIENT)
    wire.until(run_id, "running")
    ending = "/stream?action=interrupt"
    with wire.open(method, run_id, ending, GATEWAY, headers={"Last-Event-ID": "-1"}) as answer:
        assert next(read_frames(answer)).event == "metadata"
    wire.until(run_id, "interrupted")


def test_stop_of_a_sleeping_thread(wire: Wire, trace: Path) -> None:
    """A synchronous node cannot be woken: the run is stopped without waiting for it."""
    hold(trace, "in_thread")
    run_id = wire.create("stubborn", input={"kind": "in_thread", "seconds": 0, "trace": str(trace)})
    wait_for(lambda: lines(trace), what="the node's start")
    assert wire.http.post(f"{wire.path(run_id)}/cancel?wait=1").json() == {}
    assert wire.status(run_id) == "interrupted"
    assert lines(trace) == ["thread started"]


def test_wait_for_a_stopped_run(wire: Wire) -> None:
    """A join of a stopped run answers what it had reached."""
    run_id = wire.create("steps", input={"pause": 0.5})
    with wire.open("GET", run_id, "/stream", headers={"Last-Event-ID": "-1"}) as stream:
        assert next(f for f in read_frames(stream) if f.data.get("done") == ["one"])
    wire.http.post(f"{wire.path(run_id)}/cancel?wait=1")
    assert wire.http.get(f"{wire.path(run_id)}/join").json()["done"][0] == "one"


def test_deleted_thread(wire: Wire) -> None:
    """A thread that is deleted while it runs is gone at once, and so are its streams."""
    run_id = wire.create("stubborn", input=PATIENT)
    wire.until(run_id, "running")
    with wire.open("GET", run_id, "/stream") as stream:
        assert wire.http.delete(f"/threads/{wire.thread}").status_code == 204
        assert {frame.event for frame in read_frames(stream)} <= {"metadata", "values"}
    assert wire.http.get(wire.path(run_id)).status_code == 404
