"""Who has deleted what is noted in the transaction of the deletion."""

from deerflow.backend import Backend
from deerflow.domain.accounts import AuditEntry, User
from deerflow.runtime import answer
from deerflow.storage import audit, runs
from tests.factories import claim_run, finish_run, make_run, make_running
from tests.integration.identity.conftest import Client
from tests.integration.identity.stranger import principal_for


def noted(backend: Backend) -> list[AuditEntry]:
    """Deletions, oldest first."""
    with backend.db.read() as tx:
        return [entry for entry in audit.page(tx, limit=100) if entry.action.endswith(".delete")][::-1]


def test_deleting_a_thread_is_noted_once(backend: Backend, as_user: Client, owner: User) -> None:
    run = make_run(backend, principal_for(owner))
    client = as_user(owner)
    assert [client.delete(f"/threads/{run.thread_id}").status_code for _ in range(2)] == [204, 404]
    [entry] = noted(backend)
    assert (entry.action, entry.actor, entry.subject) == ("thread.delete", owner.owner, str(run.thread_id))
    assert (entry.address, entry.detail) == ("127.0.0.1", {"runs": 1})


def test_deleting_a_run_that_never_started_is_noted(backend: Backend, as_user: Client, owner: User) -> None:
    run = make_run(backend, principal_for(owner))
    client = as_user(owner)
    assert client.delete(f"/threads/{run.thread_id}/runs/{run.run_id}").status_code == 204
    assert client.delete(f"/threads/{run.thread_id}/runs/{run.run_id}").status_code == 404
    [entry] = noted(backend)
    assert (entry.action, entry.actor, entry.subject) == ("run.delete", owner.owner, str(run.run_id))
    assert entry.detail == {"thread_id": str(run.thread_id)}


def test_a_run_that_has_ended_is_noted_by_who_removes_its_row(backend: Backend, owner: User) -> None:
    """The state worker; once, also when it is asked twice."""
    run = make_running(backend, principal_for(owner))
    finish_run(backend, run)
    question = {"owner": owner.owner, "thread_id": str(run.thread_id), "actor": owner.owner, "address": "192.0.2.1"}
    for _ in range(2):
        answer._drop_run(backend, run.run_id, question)  # type: ignore[arg-type]
    [entry] = noted(backend)
    assert (entry.action, entry.actor, entry.address) == ("run.delete", owner.owner, "192.0.2.1")
    with backend.db.read() as tx:
        assert runs.peek(tx, run.run_id) is None


def test_nothing_is_noted_of_what_is_refused(backend: Backend, as_user: Client, owner: User, stranger: User) -> None:
    run = make_run(backend, principal_for(owner))
    assert claim_run(backend, run) is not None
    client = as_user(stranger)
    assert client.delete(f"/threads/{run.thread_id}").status_code == 404
    assert client.delete(f"/threads/{run.thread_id}/runs/{run.run_id}").status_code == 404
    assert noted(backend) == []
