"""Whoever acts inside the server for somebody carries the owner along (scenario 52)."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.words import CancelAction
from deerflow.graphs.start import run_config
from deerflow.runtime.cancel import cancel
from deerflow.runtime.reap import reap
from deerflow.storage import models
from tests.factories import claim_run, make_run, make_running, row_of, set_columns
from tests.integration.identity.stranger import principal_for


def test_a_webhook_belongs_to_its_runs_owner(backend: Backend, owner: User, stranger: User) -> None:
    """scenario 52: whose row it is, and that no other owner's run is told of in it."""
    runs = [make_run(backend, principal_for(user), webhook="https://example.org/hook") for user in (owner, stranger)]
    for run, user in zip(runs, (owner, stranger), strict=True):
        cancel(backend, principal_for(user), run.thread_id, run.run_id, CancelAction.INTERRUPT)
    with backend.db.read() as tx:
        rows = list(tx.execute(sa.select(models.webhooks)))
    assert {(row.run_id, row.owner, row.payload["run_id"]) for row in rows} == {
        (run.run_id, run.owner, str(run.run_id)) for run in runs
    }


def test_a_reaped_run_starts_again_as_its_owners(backend: Backend, owner: User) -> None:
    """scenario 52: claimed anew, it has the owner in its row and in what its graph sees."""
    run = make_running(backend, principal_for(owner), config={"configurable": {"user_id": "somebody"}})
    set_columns(backend, run, lease_until=datetime.now(UTC) - timedelta(seconds=60))
    reap(backend)
    again = claim_run(backend, row_of(backend, run), worker="worker-2")
    assert again is not None
    assert (again.owner, again.attempt) == (owner.owner, 2)
    assert run_config(again)["configurable"]["user_id"] == owner.owner
