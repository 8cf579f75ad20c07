"""Existing runs over HTTP: get, list, cancel, join."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import GATEWAY, PLATFORM, Mount
from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.domain.words import RunStatus
from deerflow.storage import leases
from tests.conftest import SilentBell, wait_for
from tests.factories import LOCAL_USER, OWNER, make_run, make_running, row_of
from tests.integration.api.conftest import by_mount, detail

FIELDS = {
    "run_id", "thread_id", "assistant_id", "status", "metadata", "kwargs", "multitask_strategy", "created_at",
    "updated_at",
}  # fmt: skip
"""What both contracts promise of a run."""
EVENTS, JSON = "text/event-stream", "application/json"


def path_of(run: Run, mount: Mount = PLATFORM) -> str:
    return f"{mount.prefix}/threads/{run.thread_id}/runs/{run.run_id}"


def end(backend: Backend, run: Run, status: RunStatus, error: dict[str, str] | None = None) -> Run:
    """End a running run as its worker does."""
    with backend.db.begin() as tx:
        assert leases.finish(tx, run, status=status, error=error, head=None, thread_error=error, events_upto=0)
    return row_of(backend, run)


@pytest.fixture
def pending(backend: Backend) -> Run:
    return make_run(backend, LOCAL_USER)


@pytest.fixture
def running(backend: Backend) -> Run:
    return make_running(backend, LOCAL_USER)


@by_mount
def test_get(web: FlaskClient, pending: Run, mount: Mount) -> None:
    """A run shows at least what both contracts promise; its times are true."""
    shown = web.get(path_of(pending, mount)).get_json()
    assert set(shown) >= FIELDS
    age = datetime.now(UTC) - datetime.fromisoformat(shown["created_at"])
    assert -1 < age.total_seconds() < 60


@pytest.mark.parametrize("ending", ["", "/join", "/stream"])
@by_mount
def test_get_what_is_not_there(web: FlaskClient, backend: Backend, pending: Run, mount: Mount, ending: str) -> None:
    """A run of another thread, of another owner, or of nobody is not found."""
    elsewhere = make_run(backend, LOCAL_USER)
    theirs = make_run(backend, OWNER)
    for thread_id, run_id in (
        (pending.thread_id, elsewhere.run_id),
        (theirs.thread_id, theirs.run_id),
        (pending.thread_id, uuid4()),
        (uuid4(), uuid4()),
    ):
        detail(web.get(f"{mount.prefix}/threads/{thread_id}/runs/{run_id}{ending}"), 404)


@pytest.mark.parametrize("text", ["x", "01932c07-0000-7000-8000-000000000001%0A", "01932c07000070008000000000000001"])
def test_not_an_id(web: FlaskClient, thread: str, text: str) -> None:
    """A run's id is a UUID and nothing but a UUID."""
    for ending in ("", "/join", "/stream"):
        answer = web.get(f"/threads/{thread}/runs/{text}{ending}")
        assert detail(answer, 422) == "Invalid run ID: must be a UUID"


@by_mount
def test_list(web: FlaskClient, backend: Backend, thread: str, mount: Mount) -> None:
    """A thread's runs come newest first, ten at a time."""
    made = [web.post(f"/threads/{thread}/runs", json={"assistant_id": "chat"}).get_json() for _ in range(12)]
    make_run(backend, LOCAL_USER)
    newest_first = [run["run_id"] for run in reversed(made)]

    def listed(query: str) -> list[str]:
        return [r["run_id"] for r in web.get(f"{mount.prefix}/threads/{thread}/runs{query}").get_json()]

    assert listed("") == newest_first[:10]
    assert listed("?limit=1000") == newest_first
    assert listed("?limit=2&offset=1") == newest_first[1:3]
    assert listed("?offset=12") == []
    assert listed("?status=pending&limit=3") == newest_first[:3]
    assert listed("?status=success") == []


@pytest.mark.parametrize(
    "query",
    ["select=run_id&select=status", "select=" + quote('["run_id","status"]'), "select=run_id,status"],
    ids=["repeated", "JSON", "commas"],
)
def test_select(web: FlaskClient, pending: Run, query: str) -> None:
    """Every SDK's way of choosing columns is understood."""
    shown = web.get(f"/threads/{pending.thread_id}/runs?{query}").get_json()
    assert shown == [{"run_id": str(pending.run_id), "status": "pending"}]


def test_list_of_missing_thread(web: FlaskClient) -> None:
    """A thread that does not exist has no list."""
    detail(web.get(f"/threads/{uuid4()}/runs"), 404)


@pytest.mark.parametrize("wait", ["", "?wait=1"])
@by_mount
def test_cancel_of_pending(web: FlaskClient, backend: Backend, pending: Run, mount: Mount, wait: str) -> None:
    """scenario 5: a run that never started ends at once; whoever cancels it again gets the same answer."""
    accepted = (202, b"")
    expected = accepted if not wait else {"platform": (200, b"{}"), "gateway": (204, b"")}[mount.name]
    for _ in range(2):
        answer = web.post(f"{path_of(pending, mount)}/cancel{wait}")
        assert (answer.status_code, answer.data) == expected
    assert row_of(backend, pending).status is RunStatus.INTERRUPTED
    assert web.get(f"/threads/{pending.thread_id}").get_json()["status"] == "idle"


@by_mount
def test_cancel_of_running(web: FlaskClient, backend: Backend, bell: SilentBell, running: Run, mount: Mount) -> None:
    """scenario 6: the row is marked and the worker's task revoked; the run runs until it has stopped."""
    for _ in range(2):
        assert web.post(f"{path_of(running, mount)}/cancel?action=interrupt").status_code == 202
    assert bell.revoked == [running.task_id] * 2
    marked = row_of(backend, running)
    assert (marked.status, marked.cancel_action) == (RunStatus.RUNNING, "interrupt")
    end(backend, running, RunStatus.INTERRUPTED)
    assert web.post(f"{path_of(running, mount)}/cancel").status_code == 202


@pytest.mark.parametrize("status", [RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT])
@by_mount
def test_cancel_of_ended(web: FlaskClient, backend: Backend, running: Run, mount: Mount, status: RunStatus) -> None:
    """scenario 12: a cancel that comes after the run has ended by itself says so."""
    end(backend, running, status)
    for query in ("", "?wait=1"):
        answer = web.post(f"{path_of(running, mount)}/cancel{query}")
        told = detail(answer, {"platform": 404, "gateway": 409}[mount.name])
        assert re.match("No matching runs to cancel" if mount is PLATFORM else "Run .* has already ended", told)
    assert row_of(backend, running).status is status


@by_mount
def test_cancel_that_waits(web: FlaskClient, backend: Backend, running: Run, mount: Mount) -> None:
    """A waiting cancel is answered when the worker has ended the run, not when the row is marked."""

    def cancel() -> tuple[int, bytes]:
        answer = web.post(f"{path_of(running, mount)}/cancel?wait=1")
        return answer.status_code, answer.data

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(cancel)
        wait_for(lambda: row_of(backend, running).cancel_action, what="the cancel's mark")
        assert not waiting.done()
        end(backend, running, RunStatus.INTERRUPTED)
        backend.log.wake(running.run_id)
        assert waiting.result(20) == {"platform": (200, b"{}"), "gateway": (204, b"")}[mount.name]


@by_mount
def test_cancel_of_missing(web: FlaskClient, thread: str, mount: Mount) -> None:
    """There is nothing to cancel where there is no run."""
    answer = web.post(f"{mount.prefix}/threads/{thread}/runs/{uuid4()}/cancel")
    assert detail(answer, 404) == "No runs found to cancel."


@by_mount
def test_actions(web: FlaskClient, backend: Backend, pending: Run, mount: Mount) -> None:
    """What is no action at all is refused, and nothing is cancelled; a rollback of a pending run leaves no row."""
    for method, path in (("POST", "cancel"), ("GET", "stream"), ("POST", "stream")):
        answer = web.open(f"{path_of(pending, mount)}/{path}?action=stop", method=method)
        assert "'stop' is not one of 'interrupt' and 'rollback'" in detail(answer, 422)
    assert row_of(backend, pending).status is RunStatus.PENDING
    assert web.post(f"{path_of(pending, mount)}/stream?action=rollback").data == b""
    assert web.get(path_of(pending, mount)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
@by_mount
def test_stream_with_action(web: FlaskClient, backend: Backend, pending: Run, mount: Mount, method: str) -> None:
    """A stream with ``action`` cancels first, then tells the rest; with ``wait`` it answers 204 after the stop."""
    path = f"{path_of(pending, mount)}/stream?action=interrupt"
    answer = web.open(path, method=method)
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "text/event-stream", b"")
    assert row_of(backend, pending).status is RunStatus.INTERRUPTED
    answer = web.open(f"{path}&wait=1", method=method)
    assert (answer.status_code, answer.data) == (204, b"")


@pytest.fixture
def failed(backend: Backend, running: Run) -> Run:
    """A run that ended as error, of which nothing but the row is kept."""
    return end(backend, running, RunStatus.ERROR, {"error": "ValueError", "message": "boom"})


def test_join_of_failed(web: FlaskClient, failed: Run) -> None:
    """A failed run says so on both mounts, in the words of each."""
    error = {"error": "ValueError", "message": "boom"}
    platform = web.get(f"{path_of(failed)}/join").get_json()
    gateway = web.get(f"{path_of(failed, GATEWAY)}/join?format=json").get_json()
    assert platform == {"__error__": error}
    assert gateway == {"status": "error", "error": "boom", "__error__": error}


@by_mount
def test_join_streams_or_waits(web: FlaskClient, failed: Run, mount: Mount) -> None:
    """A join is what the client asks for, else what the mount does."""
    default = {"platform": JSON, "gateway": EVENTS}[mount.name]
    for accept, query, told in (
        ("*/*", "", default),
        (JSON, "", JSON),
        (EVENTS, "", EVENTS),
        (EVENTS, "?format=json", JSON),
        (f"{JSON}, {EVENTS}", "", default),
    ):
        answer = web.get(f"{path_of(failed, mount)}/join{query}", headers={"Accept": accept})
        assert answer.mimetype == told
        assert answer.headers["Cache-Control"] == {"platform": "no-store", "gateway": "no-cache"}[mount.name]
        assert answer.headers["Content-Location"] == path_of(failed, mount)
        ending = "/stream" if told == EVENTS else "/join" + mount.join_query
        assert answer.headers["Location"] == path_of(failed) + ending
