"""``Idempotency-Key``: a client that asks again has one thing, whatever became of the first answer."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.api.mounts import GATEWAY, PLATFORM, Mount
from deerflow.backend import Backend
from deerflow.domain.words import RunStatus
from deerflow.identity import local
from deerflow.runtime import sweep
from deerflow.storage import models, runs, threads
from deerflow.storage.types import now
from tests.conftest import SilentBell, wait_for
from tests.factories import LOCAL_USER, TEAM_MATE, claim_run, finish_run, set_columns
from tests.integration.api.conftest import by_mount, detail

KEY = {"Idempotency-Key": "3f1c"}
BODY: dict[str, Any] = {"assistant_id": "steps", "input": {"pause": 1}}


def count(backend: Backend, table: sa.Table) -> int:
    with backend.db.read() as tx:
        return tx.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def age(backend: Backend, seconds: float) -> None:
    """Make all keys that much older."""
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.idempotency_keys).values(created_at=now(-seconds)))


def is_repeat(answer: TestResponse) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


@by_mount
def test_retry_has_the_same_run(
    web: FlaskClient, backend: Backend, thread: str, bell: SilentBell, mount: Mount
) -> None:
    """scenario 22: one run, rung once; the repeat tells how it stands now and says that it is one."""
    path = f"{mount.prefix}/threads/{thread}/runs"
    first = web.post(path, json=BODY, headers=KEY)
    run = first.get_json()
    with backend.db.read() as tx:
        row = runs.get(tx, LOCAL_USER, UUID(thread), UUID(run["run_id"]))
    set_columns(backend, row, status=RunStatus.SUCCESS)
    again = web.post(path, json=BODY, headers=KEY)
    assert not is_repeat(first)
    assert is_repeat(again)
    assert again.headers["Content-Location"] == first.headers["Content-Location"]
    assert again.get_json() == {**run, "status": "success", "updated_at": again.get_json()["updated_at"]}
    assert count(backend, models.runs) == len(bell.rings) == 1


def test_without_a_key_each_request_creates(web: FlaskClient, backend: Backend, thread: str) -> None:
    for _ in range(2):
        assert not is_repeat(web.post(f"/threads/{thread}/runs", json=BODY))
    assert count(backend, models.runs) == 2
    assert count(backend, models.idempotency_keys) == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/threads/{thread}/runs", BODY | {"input": {"pause": 2}}),
        ("/threads/{thread}/runs/wait", BODY),
        ("/runs", BODY),
        ("/threads", {}),
        ("/threads/01932c07-0000-7000-8000-000000000001/runs", BODY | {"if_not_exists": "create"}),
    ],
)
def test_other_request_under_the_key(
    web: FlaskClient, backend: Backend, thread: str, path: str, body: dict[str, Any]
) -> None:
    """scenario 22: another body or path is a conflict, and creates nothing."""
    web.post(f"/threads/{thread}/runs", json=BODY, headers=KEY)
    refused = web.post(path.format(thread=thread), json=body, headers=KEY)
    assert "Idempotency-Key '3f1c' was used for a request with another path or body" in detail(refused, 409)
    assert (count(backend, models.runs), count(backend, models.threads)) == (1, 1)


def test_same_body_in_another_spelling(web: FlaskClient, backend: Backend, thread: str) -> None:
    """Order and white space of JSON are not part of what is asked for, nor is the mount."""
    spelled = b'{ "input":{"pause":1},\n "assistant_id" : "steps" }'
    first = web.post(f"/threads/{thread}/runs", json=BODY, headers=KEY).get_json()
    again = web.post(f"/api/threads/{thread}/runs", data=spelled, headers=KEY)
    assert is_repeat(again)
    assert again.get_json() == first
    assert again.headers["Content-Location"].startswith("/api/threads/")
    assert count(backend, models.runs) == 1


def test_another_owner_has_keys_of_their_own(web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = web.post("/threads", json={}, headers=KEY).get_json()
    monkeypatch.setattr(local, "_LOCAL", TEAM_MATE)
    theirs = web.post("/threads", json={}, headers=KEY)
    assert not is_repeat(theirs)
    assert theirs.get_json()["thread_id"] != mine["thread_id"]


@pytest.mark.parametrize("key", ["", " ", "two words", "é", "tab\tbed", "x" * 256])
def test_unfit_key(web: FlaskClient, backend: Backend, thread: str, key: str) -> None:
    for path, body in ((f"/threads/{thread}/runs", BODY), ("/runs", BODY), ("/runs/batch", [BODY]), ("/threads", {})):
        answer = web.post(path, json=body, headers={"Idempotency-Key": key})
        assert "Idempotency-Key: must be 1 to 255 visible ASCII characters" in detail(answer, 422)
    assert (count(backend, models.runs), count(backend, models.threads)) == (0, 1)


@pytest.mark.parametrize("key", ["x" * 255, '"quoted"', "!~"])
def test_fit_key(web: FlaskClient, key: str) -> None:
    first, again = (web.post("/threads", json={}, headers={"Idempotency-Key": key}) for _ in range(2))
    assert is_repeat(again)
    assert again.get_json() == first.get_json()


def test_failure_leaves_no_key(web: FlaskClient, backend: Backend, thread: str, busy_thread: str) -> None:
    """scenario 58: what was refused may be asked for again under its key, and then happens."""
    assert web.post(f"/threads/{thread}/runs", json=BODY | {"assistant_id": "nope"}, headers=KEY).status_code == 422
    refused = web.post(f"/threads/{busy_thread}/runs", json=BODY | {"multitask_strategy": "reject"}, headers=KEY)
    assert refused.status_code == 409
    assert web.post("/runs/batch", json=[BODY, BODY | {"assistant_id": "nope"}], headers=KEY).status_code == 422
    assert count(backend, models.idempotency_keys) == 0
    assert count(backend, models.threads) == 2
    answer = web.post(f"/threads/{thread}/runs", json=BODY, headers=KEY)
    assert (answer.status_code, is_repeat(answer)) == (200, False)


def test_broken_bell(web: FlaskClient, backend: Backend, thread: str, bell: SilentBell) -> None:
    """scenario 58: the retry of a run that could not be rung finds it, and does not ring it either: the clock does."""
    bell.broken = True
    first, again = (web.post(f"/threads/{thread}/runs", json=BODY, headers=KEY) for _ in range(2))
    assert again.get_json()["run_id"] == first.get_json()["run_id"]
    assert count(backend, models.runs) == 1


def test_two_at_once(web: FlaskClient, backend: Backend, thread: str) -> None:
    """scenario 22: of many that come together one creates, the others answer the same."""
    path = f"/threads/{thread}/runs"

    def post(_: int) -> TestResponse:
        return web.application.test_client().post(path, json=BODY, headers=KEY)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.get_json()["run_id"] for answer in answers}) == 1
    assert sum(not is_repeat(answer) for answer in answers) == 1
    assert count(backend, models.runs) == 1


def test_two_different_ones_at_once(web: FlaskClient, backend: Backend) -> None:
    """One creates, the others are told that the key is taken."""

    def post(number: int) -> int:
        body = {"metadata": {"n": number}}
        return web.application.test_client().post("/threads", json=body, headers=KEY).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == [200, *[409] * 7]
    assert count(backend, models.threads) == 1


def test_batch(web: FlaskClient, backend: Backend) -> None:
    """All runs of a batch stand under its key, in their order."""
    bodies = [BODY | {"metadata": {"n": n}} for n in range(3)]
    first, again = (web.post("/runs/batch", json=bodies, headers=KEY) for _ in range(2))
    assert is_repeat(again)
    assert again.get_json() == first.get_json()
    assert [run["metadata"]["n"] for run in again.get_json()] == [0, 1, 2]
    assert count(backend, models.runs) == 3
    detail(web.post("/runs/batch", json=bodies[:2], headers=KEY), 409)


def test_stateless_run_that_took_its_thread(web: FlaskClient, backend: Backend) -> None:
    """The row has gone; the repeat is told what the first was, and a stream or wait of it just ends."""
    first = web.post("/runs", json=BODY, headers=KEY)
    with backend.db.begin() as tx:
        threads.discard(tx, UUID(first.get_json()["thread_id"]))
    again = web.post("/runs", json=BODY, headers=KEY)
    assert is_repeat(again)
    assert again.get_json() == first.get_json()
    assert again.headers["Content-Location"] == first.headers["Content-Location"]


@pytest.mark.parametrize("mount", [PLATFORM, GATEWAY], ids=lambda mount: mount.name)
def test_wait_of_a_run_that_has_ended(web: FlaskClient, backend: Backend, thread: str, mount: Mount) -> None:
    """The retry of a wait has the answer of the run that the first one began."""
    path = f"{mount.prefix}/threads/{thread}/runs/wait"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(web.application.test_client().post, path, json=BODY, headers=KEY)
        running = make_running_of(backend, thread)
        finish_run(backend, running, status=RunStatus.ERROR, error={"error": "E", "message": "m"})
        backend.log.wake(running.run_id)
        first = waiting.result(20)
    again = web.post(path, json=BODY, headers=KEY)
    assert is_repeat(again)
    assert again.get_json() == first.get_json()
    assert again.get_json()["__error__"] == {"error": "E", "message": "m"}
    assert count(backend, models.runs) == 1


def make_running_of(backend: Backend, thread: str) -> Any:
    """Claim the run that a client has just created."""

    def found() -> Any:
        with backend.db.read() as tx:
            return runs.inflight(tx, UUID(thread))

    (run,) = wait_for(found, what="the run")  # type: ignore[misc]
    return claim_run(backend, run)


def test_retry_has_the_same_thread(web: FlaskClient, backend: Backend) -> None:
    """The repeat tells the thread as it is now."""
    first = web.post("/threads", json={"metadata": {"a": 1}}, headers=KEY).get_json()
    web.patch(f"/threads/{first['thread_id']}", json={"metadata": {"b": 2}})
    again = web.post("/threads", json={"metadata": {"a": 1}}, headers=KEY)
    assert is_repeat(again)
    assert again.get_json()["metadata"] == {"a": 1, "b": 2}
    assert count(backend, models.threads) == 1


def test_named_thread(web: FlaskClient) -> None:
    """A retry with the thread's id is no conflict with the thread that it has itself created."""
    body = {"thread_id": str(uuid4())}
    first = web.post("/threads", json=body, headers=KEY)
    assert web.post("/threads", json=body, headers=KEY).get_json() == first.get_json()
    detail(web.post("/threads", json=body), 409)
    detail(web.post("/threads", json=body, headers={"Idempotency-Key": "other"}), 409)
    existing = body | {"if_exists": "do_nothing"}
    other = {"Idempotency-Key": "third"}
    for _ in range(2):
        assert web.post("/threads", json=existing, headers=other).get_json() == first.get_json()


def test_deleted_thread(web: FlaskClient) -> None:
    """What was deleted since does not come back."""
    first = web.post("/threads", json={}, headers=KEY).get_json()
    web.delete(f"/threads/{first['thread_id']}")
    assert web.post("/threads", json={}, headers=KEY).get_json() == first
    detail(web.get(f"/threads/{first['thread_id']}"), 404)


def test_copy_with_a_body_that_is_none(web: FlaskClient, thread: str) -> None:
    """A copy needs no body, so nobody but the key looks at it."""
    for body in (b"{", b"[" * 500 + b"]" * 500):
        answer = web.post(f"/threads/{thread}/copy", data=body, headers=KEY)
        assert "request body" in detail(answer, 422)


def test_expired_key_is_free(web: FlaskClient, backend: Backend) -> None:
    """After a day the key stands for nothing, also before the sweep has come by, and for any request."""
    first = web.post("/threads", json={}, headers=KEY).get_json()
    age(backend, backend.rules.idempotency_seconds - 10)
    assert is_repeat(web.post("/threads", json={}, headers=KEY))
    age(backend, backend.rules.idempotency_seconds + 1)
    second = web.post("/threads", json={"metadata": {"n": 1}}, headers=KEY)
    assert not is_repeat(second)
    assert second.get_json()["thread_id"] != first["thread_id"]
    again = web.post("/threads", json={"metadata": {"n": 1}}, headers=KEY)
    assert is_repeat(again)
    assert again.get_json() == second.get_json()


def test_sweep_removes_expired_keys_only(web: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches."""
    monkeypatch.setattr(sweep, "_ROWS_A_TRANSACTION", 2)
    for n in range(3):
        web.post("/threads", json={}, headers={"Idempotency-Key": f"old{n}"})
    age(backend, backend.rules.idempotency_seconds + 1)
    web.post("/threads", json={}, headers=KEY)
    assert [sweep.remove_expired_keys(backend) for _ in range(3)] == [2, 1, 0]
    assert count(backend, models.idempotency_keys) == 1
    assert is_repeat(web.post("/threads", json={}, headers=KEY))
