"""A client that loses the answer to its POST asks again under the same ``Idempotency-Key``."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from deerflow.api.mounts import PLATFORM, Mount
from tests.conformance.conftest import Wire, by_mount
from tests.conformance.test_sse_wire import Connection
from tests.conftest import wait_for
from tests.live import Live
from tests.sse import Frame, read_frames

STEPS = {"assistant_id": "steps", "input": {"pause": 0.2}, "stream_mode": ["updates", "values"]}
DONE = ["one", "two", "three", "four"]


@pytest.fixture
def key() -> dict[str, str]:
    """A key of this test's own."""
    return {"Idempotency-Key": str(uuid4())}


def stream(wire: Wire, path: str, headers: dict[str, str], until: Callable[[Frame], bool] | None = None) -> list[Frame]:
    """Read a new run's stream to its end, or to the frame after which the connection breaks."""
    found = []
    with wire.http.stream("POST", path, json=STEPS | {"on_disconnect": "continue"}, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        for frame in read_frames(answer):
            found.append(frame)
            if until is not None and until(frame):
                break
    return found


@pytest.mark.parametrize("path", ["/threads/{}/runs/stream", "/runs/stream"])
@by_mount
def test_stream_is_joined(wire: Wire, key: dict[str, str], mount: Mount, path: str) -> None:
    """scenario 22: the retry of a stream hears the same run from its beginning, or from the event that it names."""
    path = mount.prefix + path.format(wire.thread)
    seen = stream(wire, path, key, until=lambda frame: frame.event == "updates")
    whole = stream(wire, path, key)
    assert whole[: len(seen)] == seen
    assert [next(iter(f.data)) for f in whole if f.event == "updates"] == DONE
    assert [f.id for f in whole] == list(range(1, len(whole) + 1))
    rest = stream(wire, path, key | {"Last-Event-ID": str(seen[-1].id)})
    assert rest == whole[len(seen) :]
    if wire.thread in path:
        assert len(wire.http.get(f"/threads/{wire.thread}/runs").json()) == 1


def test_last_event_id_of_another_run(wire: Wire, key: dict[str, str]) -> None:
    """A new run is told from its beginning, whatever the client has heard of another one."""
    frames = stream(wire, f"/threads/{wire.thread}/runs/stream", key | {"Last-Event-ID": "5"})
    assert frames[0].id == 1


@by_mount
def test_wait_is_joined(wire: Wire, key: dict[str, str], mount: Mount) -> None:
    """scenario 22: whoever waits under the key is answered by the same run, during it and afterwards."""
    path = f"{mount.prefix}/threads/{wire.thread}/runs/wait"

    def wait(_: int = 0) -> Any:
        return wire.http.post(path, json=STEPS, headers=key)

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(wait, range(4)), wait()]
    assert [answer.json()["done"] for answer in answers] == [DONE] * 5
    assert len({answer.headers["Content-Location"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 4


def test_lost_answer(live: Live, wire: Wire, key: dict[str, str]) -> None:
    """scenario 58: the client hangs up before the answer, at any moment, and asks again until it has one."""
    for _ in range(5):
        Connection(live, "POST", f"/threads/{wire.thread}/runs", STEPS, **key).close()
    run = wire.http.post(f"/threads/{wire.thread}/runs", json=STEPS, headers=key).json()
    wire.until(run["run_id"], "success")
    assert len(wire.http.get(f"/threads/{wire.thread}/runs").json()) == 1
    assert wire.http.get(f"/threads/{wire.thread}/state").json()["values"]["done"] == DONE


@pytest.mark.parametrize("ending", ["stream", "wait"])
def test_who_comes_back_is_the_creator(live: Live, wire: Wire, key: dict[str, str], ending: str) -> None:
    """With ``on_disconnect`` cancel the run goes with whoever began it under its key, the second time too."""
    body = {"assistant_id": "stubborn", "input": {"kind": "patient", "seconds": 60}, "on_disconnect": "cancel"}
    path = f"{PLATFORM.prefix}/threads/{wire.thread}/runs/{ending}"
    first = Connection(live, "POST", path, body, **key)
    _, headers = first.head()
    again = Connection(live, "POST", path, body, **key)
    _, same = again.head()
    assert same["content-location"] == headers["content-location"]
    assert ("idempotent-replayed" in headers, "idempotent-replayed" in same) == (False, True)
    run_id = headers["content-location"].rpartition("/")[2]
    wire.until(run_id, "running")
    again.close()
    wire.until(run_id, "interrupted")
    first.close()


def test_thread_and_run_of_the_sdk(live: Live, key: dict[str, str]) -> None:
    """The SDK sends the header where it is told to."""
    client = live.client()
    first, again = (client.threads.create(headers={"Idempotency-Key": "t" + key["Idempotency-Key"]}) for _ in range(2))
    assert first["thread_id"] == again["thread_id"]
    made = [client.runs.create(first["thread_id"], "steps", input={}, headers=key)["run_id"] for _ in range(2)]
    assert len(set(made)) == 1
    path = f"/threads/{first['thread_id']}/runs/{made[0]}"
    wait_for(lambda: live.http().get(path).json()["status"] == "success", what="the run's end")
