"""Whatever ends a run puts its webhook into the outbox, in the same transaction."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from deerflow.backend import open_worker
from deerflow.domain.ids import least_id
from deerflow.domain.presented import present_run
from deerflow.domain.threads import ThreadFilter
from deerflow.domain.words import CancelAction, MultitaskStrategy, OnCompletion, RunStatus
from deerflow.errors import Invalid
from deerflow.runtime.cancel import cancel
from deerflow.runtime.outbox import note_end
from deerflow.runtime.reap import reap
from deerflow.runtime.remove import remove_thread
from deerflow.runtime.sweep import sweep
from deerflow.storage import models, thread_search, threads, webhooks
from deerflow.storage.types import now
from tests.factories import OWNER, claim_run, finish_run, make_run, make_running, row_of, set_columns

URL = "https://user:secret@example.org/hook?token=secret"
INTERRUPTED = {"error": "UserInterrupt", "message": "The run was interrupted by a cancel request."}


def outbox(backend):
    """All webhooks with their payloads, oldest first."""
    with backend.db.read() as tx:
        return [webhooks.get(tx, each.webhook_id) for each in webhooks.page(tx, state=None, limit=100)][::-1]


def test_the_end_of_a_run_is_put_in_as_clients_read_the_run(backend):
    """scenario 52: with the run's owner"""
    run = make_running(backend, webhook=URL, metadata={"n": 1})
    assert finish_run(backend, run)
    with backend.db.begin() as tx:
        note_end(tx, run, status=RunStatus.SUCCESS, error=None, values={"n": 2})
    ((webhook, payload),) = outbox(backend)
    ended = row_of(backend, run)
    assert (webhook.url, webhook.receiver, webhook.owner) == (URL, "https://example.org:443", "owner")
    assert (webhook.run_id, webhook.thread_id) == (run.run_id, run.thread_id)
    assert payload["run_id"] == str(run.run_id)
    assert (payload["status"], payload["values"], payload["error"]) == ("success", {"n": 2}, None)
    assert payload["metadata"]["n"] == 1
    assert payload["kwargs"] == present_run(ended)["kwargs"]
    assert datetime.fromisoformat(payload["run_started_at"]) == ended.started_at
    assert datetime.fromisoformat(payload["run_ended_at"]) == ended.ended_at
    assert datetime.fromisoformat(payload["updated_at"]) == ended.updated_at


def test_a_run_whose_row_is_gone_is_told_too(backend):
    """A rollback deletes the row in the same transaction."""
    run = make_running(backend, webhook=URL)
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, run.thread_id)
        note_end(tx, run, status=RunStatus.INTERRUPTED, error=INTERRUPTED, values=None)
    ((_, payload),) = outbox(backend)
    assert (payload["status"], payload["error"], payload["run_id"]) == ("interrupted", INTERRUPTED, str(run.run_id))
    assert payload["run_ended_at"] >= payload["run_started_at"]


def test_a_run_without_a_webhook_puts_nothing_in(backend):
    run = make_running(backend)
    with backend.db.begin() as tx:
        note_end(tx, run, status=RunStatus.SUCCESS, error=None, values={})
    assert outbox(backend) == []


def test_what_does_not_commit_is_not_told(backend):
    run = make_running(backend, webhook=URL)

    def fail():
        with backend.db.begin() as tx:
            note_end(tx, run, status=RunStatus.SUCCESS, error=None, values={})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert outbox(backend) == []


def test_a_cancelled_run_that_never_started_is_told(backend):
    run = make_run(backend, webhook=URL)
    cancel(backend, OWNER, run.thread_id, run.run_id, CancelAction.INTERRUPT)
    cancel(backend, OWNER, run.thread_id, run.run_id, CancelAction.INTERRUPT)
    ((_, payload),) = outbox(backend)
    assert (payload["status"], payload["error"], payload["values"]) == ("interrupted", INTERRUPTED, None)
    assert payload["run_started_at"] is None


def test_a_run_that_is_rolled_back_before_it_starts_is_told(backend):
    run = make_run(backend, webhook=URL)
    cancel(backend, OWNER, run.thread_id, run.run_id, CancelAction.ROLLBACK)
    ((_, payload),) = outbox(backend)
    assert (payload["status"], payload["error"]["error"]) == ("interrupted", "UserRollback")
    assert payload["run_ended_at"] >= payload["created_at"]


def test_a_cancelled_run_that_runs_is_told_by_its_worker_only(backend):
    run = make_running(backend, webhook=URL)
    cancel(backend, OWNER, run.thread_id, run.run_id, CancelAction.INTERRUPT)
    assert outbox(backend) == []


def test_a_stateless_run_is_told_though_its_thread_goes_with_it(backend):
    run = make_run(backend, webhook=URL, temporary=True, on_completion=OnCompletion.DELETE)
    cancel(backend, OWNER, run.thread_id, run.run_id, CancelAction.INTERRUPT)
    with backend.db.read() as tx:
        assert thread_search.count(tx, OWNER, ThreadFilter()) == 0
    ((webhook, _),) = outbox(backend)
    assert webhook.run_id == run.run_id


def test_a_run_that_is_displaced_before_it_starts_is_told(backend):
    waiting = make_run(backend, webhook=URL)
    make_run(backend, thread_id=waiting.thread_id, multitask_strategy=MultitaskStrategy.INTERRUPT)
    ((webhook, payload),) = outbox(backend)
    assert (webhook.run_id, payload["status"]) == (waiting.run_id, "interrupted")


def test_a_run_that_lost_its_workers_is_told(backend):
    run = make_run(backend, webhook=URL)
    for attempt in range(1, backend.rules.crash_limit + 1):
        assert outbox(backend) == []
        assert claim_run(backend, run).attempt == attempt
        set_columns(backend, run, lease_until=now(-1.0))
        reap(backend)
    ((_, payload),) = outbox(backend)
    assert (payload["status"], payload["error"]["error"], payload["values"]) == ("error", "WorkerLost", None)
    reap(backend)
    assert len(outbox(backend)) == 1


def test_a_run_that_goes_with_its_deleted_thread_is_not_told(backend):
    run = make_running(backend, webhook=URL)
    remove_thread(backend, OWNER, run.thread_id)
    assert outbox(backend) == []


def test_the_sweep_keeps_delivered_ones_for_three_days_and_dead_ones_for_thirty(settings, backend):
    at = {"delivered_at": [-4, -2], "dead_at": [-31, -29]}
    for column, days in at.items():
        for each in days:
            age(backend, make_run(backend), column, days=each)

    async def sweep_once():
        async with open_worker(settings, user_code=False) as worker:
            await sweep(worker)

    asyncio.run(sweep_once())
    assert [webhook.state for webhook, _ in outbox(backend)] == ["dead", "delivered"]


def age(backend, run, column, *, days):
    """A webhook that was created, and done with, that many days ago."""
    seconds = days * 86_400.0
    with backend.db.begin() as tx:
        webhook_id = webhooks.put(tx, run, url=URL, receiver="https://example.org:443", payload={})
        old = {"webhook_id": least_id(datetime.now(UTC) + timedelta(seconds=seconds)), column: now(seconds)}
        tx.execute(sa.update(models.webhooks).where(models.webhooks.c.webhook_id == webhook_id).values(old))


def test_a_webhook_that_may_not_go_there_leaves_no_run(backend):
    with pytest.raises(Invalid, match="Loopback webhooks"):
        make_run(backend, webhook="https://localhost/hook")
    with backend.db.read() as tx:
        assert not webhooks.any_due(tx)
