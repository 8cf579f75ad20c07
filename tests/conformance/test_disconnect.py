"""A client goes away: only the creating connection counts, and only if it was said so."""

from datetime import UTC, datetime

import pytest

from deerflow.api.mounts import GATEWAY, PLATFORM, Mount
from tests.conformance.conftest import Wire, by_mount
from tests.conformance.test_sse_wire import Connection
from tests.conftest import wait_for
from tests.live import Live

PATIENT = {"kind": "patient", "seconds": 60}
CHOSEN = [(PLATFORM, {"on_disconnect": "cancel"}), (GATEWAY, {"on_disconnect": "cancel"}), (GATEWAY, {})]
CHOSEN_IDS = ["platform", "gateway", "gateway's default"]
ENDINGS = pytest.mark.parametrize("ending", ["stream", "wait"])


def begin(live: Live, wire: Wire, mount: Mount, ending: str, **fields: object) -> tuple[Connection, str]:
    """Start a run that goes on for long; the creator's connection and the run's id."""
    body = {"assistant_id": "stubborn", "input": PATIENT, **fields}
    connection = Connection(live, "POST", f"{mount.prefix}/threads/{wire.thread}/runs/{ending}", body)
    status, headers = connection.head()
    assert status == 200
    return connection, headers["content-location"].rpartition("/")[2]


@ENDINGS
@pytest.mark.parametrize(("mount", "fields"), CHOSEN, ids=CHOSEN_IDS)
def test_creator_leaves(live: Live, wire: Wire, mount: Mount, fields: dict[str, str], ending: str) -> None:
    """scenario 37: a run that shall not outlive its creator is cancelled at once, though nothing is said.

    That is: long before the next heartbeat, which cannot be sent any more.
    """
    connection, run_id = begin(live, wire, mount, ending, **fields)
    wire.until(run_id, "running")
    connection.close()
    left = datetime.now(UTC)
    wire.until(run_id, "interrupted")
    ended = datetime.fromisoformat(wire.http.get(wire.path(run_id)).json()["updated_at"])
    assert (ended - left).total_seconds() < 4


@ENDINGS
def test_creator_leaves_at_once(live: Live, wire: Wire, ending: str) -> None:
    """scenario 37: also when it goes before the first byte of the answer, or while the run is created."""
    body = {"assistant_id": "stubborn", "input": PATIENT, "multitask_strategy": "enqueue"}
    for _ in range(10):
        Connection(live, "POST", f"/api/threads/{wire.thread}/runs/{ending}", body).close()
    path = f"/threads/{wire.thread}/runs?select=status"
    wait_for(
        lambda: {run["status"] for run in wire.http.get(path).json()} <= {"interrupted"},
        what="every run's end",
    )


def test_creator_of_a_queued_run_leaves(live: Live, wire: Wire) -> None:
    """A run that waits for its turn is cancelled as well, and the running one goes on."""
    running = wire.create("stubborn", input=PATIENT)
    wire.until(running, "running")
    connection, queued = begin(live, wire, PLATFORM, "stream", on_disconnect="cancel")
    connection.close()
    wire.until(queued, "interrupted")
    assert wire.status(running) == "running"
    wire.http.post(f"{wire.path(running)}/cancel?wait=1")


@ENDINGS
@pytest.mark.parametrize(
    ("mount", "fields"),
    [(PLATFORM, {}), (PLATFORM, {"on_disconnect": "continue"}), (GATEWAY, {"on_disconnect": "continue"})],
    ids=["platform's default", "platform", "gateway"],
)
def test_run_that_continues(live: Live, wire: Wire, mount: Mount, fields: dict[str, str], ending: str) -> None:
    """A run that may outlive its creator does, to its end."""
    body = {"assistant_id": "steps", "input": {"pause": 0.3}, **fields}
    connection = Connection(live, "POST", f"{mount.prefix}/threads/{wire.thread}/runs/{ending}", body)
    _, headers = connection.head()
    connection.close()
    run_id = headers["content-location"].rpartition("/")[2]
    wire.until(run_id, "success", "interrupted")
    assert wire.status(run_id) == "success"


@pytest.mark.parametrize("ending", ["stream", "join", "join?format=json"])
@by_mount
def test_joiner_leaves(live: Live, wire: Wire, mount: Mount, ending: str) -> None:
    """scenario 30: who only joined may go; the run and its creator do not notice."""
    connection, run_id = begin(live, wire, GATEWAY, "stream")
    wire.until(run_id, "running")
    for _ in range(3):
        joiner = Connection(live, "GET", f"{mount.prefix}{wire.path(run_id)}/{ending}")
        joiner.head()
        joiner.close()
    received = connection.chunk()
    while not received.endswith(b": heartbeat\r\n\r\n"):
        received += connection.chunk()
    assert received.startswith(b"event: metadata")
    assert wire.status(run_id) == "running"
    connection.close()
    wire.until(run_id, "interrupted")


@pytest.mark.parametrize("ending", ["stream", "join"])
def test_joiner_that_cancels(live: Live, wire: Wire, ending: str) -> None:
    """A joiner that says ``cancel_on_disconnect`` takes the run with it."""
    run_id = wire.create("stubborn", input=PATIENT)
    wire.until(run_id, "running")
    joiner = Connection(live, "GET", f"{wire.path(run_id)}/{ending}?cancel_on_disconnect=1")
    joiner.head()
    joiner.close()
    wire.until(run_id, "interrupted")
