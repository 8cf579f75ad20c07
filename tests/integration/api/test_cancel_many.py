"""Cancelling many runs at once, and deleting one: what callers are answered."""

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import MOUNTS, PLATFORM, Mount
from deerflow.backend import Backend
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.errors import NotFound
from tests.conftest import SilentBell
from tests.factories import LOCAL_USER, TEAM_MATE, claim_run, make_run, make_running, row_of
from tests.integration.api.conftest import by_mount, detail


def _cancel(web: FlaskClient, mount: Mount = PLATFORM, query: str = "", **body: Any) -> Any:
    return web.post(f"{mount.prefix}/runs/cancel{query}", json=body)


@by_mount
def test_by_ids(web: FlaskClient, backend: Backend, mount: Mount) -> None:
    """The named runs of the thread stop; the others go on."""
    one, other = (make_run(backend, LOCAL_USER, after_seconds=60) for _ in range(2))
    same_thread = make_run(backend, LOCAL_USER, thread_id=one.thread_id, after_seconds=60)
    ids = [str(run.run_id) for run in (one, same_thread, other)]
    assert _cancel(web, mount, thread_id=str(one.thread_id), run_ids=ids).status_code == 204
    found = [row_of(backend, run).status for run in (one, same_thread, other)]
    assert found == [RunStatus.INTERRUPTED, RunStatus.INTERRUPTED, RunStatus.PENDING]
    assert _cancel(web, mount, thread_id=str(one.thread_id), run_ids=ids).status_code == 204, "as the first time"


def test_by_status(web: FlaskClient, backend: Backend, bell: SilentBell) -> None:
    """All runs of the caller that are pending, or running; never another's."""
    pending, running = (make_run(backend, LOCAL_USER) for _ in range(2))
    strangers = make_run(backend, TEAM_MATE)
    assert claim_run(backend, running)
    assert _cancel(web, status="pending").status_code == 204
    assert row_of(backend, pending).status is RunStatus.INTERRUPTED
    assert row_of(backend, running).cancel_action is None
    assert _cancel(web, status="running").status_code == 204
    assert row_of(backend, running).cancel_action is CancelAction.INTERRUPT
    assert bell.revoked == [row_of(backend, running).task_id]
    assert row_of(backend, strangers).cancel_action is None


@pytest.mark.parametrize("how", ["named", "all"])
def test_what_waits_does_not_begin(web: FlaskClient, backend: Backend, bell: SilentBell, how: str) -> None:
    """A run that waits has been stopped when the one before it is told to, or it would begin for a moment."""
    running = make_running(backend, LOCAL_USER)
    waiting = make_run(backend, LOCAL_USER, thread_id=running.thread_id)
    seen: list[RunStatus] = []
    bell.revoke = lambda _task: seen.append(row_of(backend, waiting).status)  # type: ignore[method-assign]
    ids = [str(run.run_id) for run in (running, waiting)]
    asked = {"thread_id": str(running.thread_id), "run_ids": ids} if how == "named" else {"status": "all"}
    assert _cancel(web, **asked).status_code == 204
    assert seen == [RunStatus.INTERRUPTED]


def test_all_with_rollback(web: FlaskClient, backend: Backend) -> None:
    """More than one look takes; a rollback of a pending run leaves no row."""
    made = [make_run(backend, LOCAL_USER) for _ in range(3)]
    assert _cancel(web, query="?action=rollback", status="all").status_code == 204
    for run in made:
        with pytest.raises(NotFound):
            row_of(backend, run)


@by_mount
def test_nothing_to_cancel(web: FlaskClient, thread: str, mount: Mount) -> None:
    """404 says so."""
    assert detail(_cancel(web, mount, status="all"), 404) == "No runs found to cancel."
    missing = _cancel(web, mount, thread_id=thread, run_ids=[str(uuid4())])
    assert detail(missing, 404) == "No runs found to cancel."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"thread_id": str(uuid4())},
        {"run_ids": [str(uuid4())]},
        {"thread_id": str(uuid4()), "run_ids": []},
        {"thread_id": str(uuid4()), "run_ids": [str(uuid4())], "status": "all"},
        {"status": "success"},
        {"thread_id": "x", "run_ids": ["y"]},
    ],
)
def test_unclear_wishes(web: FlaskClient, body: dict[str, Any]) -> None:
    """Neither or both ways of naming runs, or no ids, are refused."""
    detail(_cancel(web, **body), 422)
    detail(_cancel(web, query="?action=stop", status="all"), 422)


@by_mount
def test_delete_of_pending(web: FlaskClient, backend: Backend, mount: Mount) -> None:
    """It is gone, and cannot be deleted again."""
    run = make_run(backend, LOCAL_USER)
    path = f"{mount.prefix}/threads/{run.thread_id}/runs/{run.run_id}"
    assert web.delete(path).status_code == 204
    assert web.get(path).status_code == 404
    assert web.get(f"/threads/{run.thread_id}").get_json()["status"] == "idle"
    assert detail(web.delete(path), 404) == "Run not found"


def test_delete_beside_another(web: FlaskClient, backend: Backend) -> None:
    """One that has ended is not deleted while another of its thread is in flight, as its checkpoints are under it."""
    running = make_running(backend, LOCAL_USER)
    ended = make_run(backend, LOCAL_USER, thread_id=running.thread_id, after_seconds=60)
    web.post(f"/threads/{ended.thread_id}/runs/{ended.run_id}/cancel")
    answer = web.delete(f"/threads/{ended.thread_id}/runs/{ended.run_id}")
    assert str(running.run_id) in detail(answer, 409)
    assert row_of(backend, ended).status is RunStatus.INTERRUPTED


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.name)
def test_delete_of_strangers_run(web: FlaskClient, backend: Backend, mount: Mount) -> None:
    """Another owner's run looks like a missing one, and stays."""
    theirs = make_run(backend, TEAM_MATE)
    path = f"{mount.prefix}/threads/{theirs.thread_id}/runs/{theirs.run_id}"
    assert detail(web.delete(path), 404) == "Run not found"
    assert row_of(backend, theirs).status is RunStatus.PENDING
