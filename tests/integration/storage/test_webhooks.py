"""The outbox: what is due, who takes it, and what becomes of it."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from deerflow.domain.webhooks import Receipt
from deerflow.errors import NotFound
from deerflow.storage import models, webhooks
from deerflow.storage.types import now
from tests.factories import at_once, make_run

LEASE = timedelta(seconds=30)
FAILED = Receipt(503, "answered 503")


def put(backend, receiver="https://example.org:443"):
    run = make_run(backend)
    with backend.db.begin() as tx:
        return webhooks.put(
            tx, run, url="https://example.org/hook", receiver=receiver, payload={"run": str(run.run_id)}
        )


def claim(backend, *, lease=LEASE, besides=()):
    with backend.db.begin() as tx:
        found = webhooks.claim(tx, lease=lease, besides=besides)
    return found[0] if found else None


def get(backend, webhook_id):
    with backend.db.read() as tx:
        return webhooks.get(tx, webhook_id)[0]


def fail(backend, webhook, again_seconds=0.0):
    with backend.db.begin() as tx:
        return webhooks.failed(tx, webhook, FAILED, again_seconds=again_seconds)


def deliver(backend, webhook):
    with backend.db.begin() as tx:
        return webhooks.delivered(tx, webhook, Receipt(200))


def any_due(backend):
    with backend.db.read() as tx:
        return webhooks.any_due(tx)


def replay(backend, webhook_id):
    with backend.db.begin() as tx:
        return webhooks.replay(tx, webhook_id)


def test_a_new_one_is_due_at_once_and_taken_with_its_payload(backend):
    assert not any_due(backend)
    webhook_id = put(backend)
    assert any_due(backend)
    with backend.db.begin() as tx:
        webhook, payload = webhooks.claim(tx, lease=LEASE, besides=[])
    assert (webhook.webhook_id, webhook.tries, webhook.state, webhook.owner) == (webhook_id, 1, "pending", "owner")
    assert payload == {"run": str(webhook.run_id)}


def test_what_is_being_sent_is_not_taken_again_while_that_may_last(backend):
    """Two clocks never send one at the same time."""
    put(backend)
    assert claim(backend) is not None
    assert not any_due(backend)
    assert claim(backend) is None


def test_clocks_that_look_at_once_each_take_another_one(backend):
    put_ids = {put(backend) for _ in range(6)}
    taken = at_once(*[lambda: claim(backend)] * 8)
    found = [webhook.webhook_id for webhook in taken if webhook is not None]
    assert len(found) == len(set(found))
    while (more := claim(backend)) is not None:  # on Postgres a claim may pass over a row that another one has locked
        found.append(more.webhook_id)
    assert sorted(found) == sorted(put_ids)


def test_what_a_clock_was_sending_when_it_died_is_due_again_with_the_same_id(backend):
    webhook_id = put(backend)
    assert claim(backend, lease=timedelta(0)).tries == 1
    again = claim(backend)
    assert (again.webhook_id, again.tries) == (webhook_id, 2)


def test_the_one_that_has_been_due_longest_comes_first(backend):
    ids = [put(backend) for _ in range(3)]
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.webhooks).where(models.webhooks.c.webhook_id == ids[2]).values(due_at=now(-60.0)))
    assert [claim(backend).webhook_id for _ in ids] == [ids[2], ids[0], ids[1]]


def test_a_receiver_can_be_passed_over(backend):
    put(backend, "https://slow.example.org:443")
    other = put(backend, "https://other.example.org:443")
    assert claim(backend, besides=["https://slow.example.org:443"]).webhook_id == other
    assert claim(backend, besides=["https://slow.example.org:443", "https://x.org:443"]) is None


def test_a_delivered_one_is_done(backend):
    webhook_id = put(backend)
    webhook = claim(backend, lease=timedelta(0))
    assert deliver(backend, webhook)
    done = get(backend, webhook_id)
    assert (done.state, done.last_status, done.last_error) == ("delivered", 200, None)
    assert claim(backend) is None
    assert not deliver(backend, webhook)
    assert not fail(backend, webhook)


def test_a_failed_one_is_due_later(backend):
    webhook_id = put(backend)
    assert fail(backend, claim(backend), again_seconds=60)
    waiting = get(backend, webhook_id)
    assert (waiting.state, waiting.last_status, waiting.last_error) == ("pending", 503, "answered 503")
    assert claim(backend) is None
    put_back = waiting.due_at - waiting.created_at
    assert timedelta(seconds=55) < put_back < timedelta(seconds=75)


def test_a_failure_of_an_older_try_does_not_undo_a_newer_claim(backend):
    put(backend)
    old = claim(backend, lease=timedelta(0))
    new = claim(backend)
    assert not fail(backend, old)
    assert claim(backend) is None
    assert fail(backend, new)
    assert claim(backend).tries == 3


def test_a_delivery_counts_whichever_try_it_was(backend):
    webhook_id = put(backend)
    old = claim(backend, lease=timedelta(0))
    assert fail(backend, claim(backend), again_seconds=None)
    assert deliver(backend, old)
    assert get(backend, webhook_id).state == "delivered"


def test_a_dead_one_is_not_sent_until_it_is_replayed(backend):
    webhook_id = put(backend)
    assert not replay(backend, webhook_id), "it is still being tried"
    assert fail(backend, claim(backend), again_seconds=None)
    assert get(backend, webhook_id).state == "dead"
    assert claim(backend) is None
    assert replay(backend, webhook_id)
    again = claim(backend)
    assert (again.webhook_id, again.tries) == (webhook_id, 1)
    assert deliver(backend, again)
    assert replay(backend, webhook_id), "a delivered one may be sent again too"
    assert claim(backend).webhook_id == webhook_id


def test_all_dead_ones_are_replayed(backend):
    dead, pending, done = (put(backend) for _ in range(3))
    assert fail(backend, claim(backend), again_seconds=None)
    assert fail(backend, claim(backend), again_seconds=60)
    assert deliver(backend, claim(backend))
    with backend.db.begin() as tx:
        assert webhooks.replay_dead(tx) == 1
    assert [get(backend, each).state for each in (dead, pending, done)] == ["pending", "pending", "delivered"]
    assert claim(backend).webhook_id == dead
    assert claim(backend) is None


@pytest.mark.parametrize("state", [None, "pending", "delivered", "dead"])
def test_lists_newest_first(backend, state):
    ids = [put(backend) for _ in range(4)]
    assert deliver(backend, claim(backend))
    assert fail(backend, claim(backend), again_seconds=None)
    wanted = {None: ids, "delivered": ids[:1], "dead": ids[1:2], "pending": ids[2:]}[state]
    with backend.db.read() as tx:
        found = webhooks.page(tx, state=state, limit=10)
        assert len(webhooks.page(tx, state=state, limit=1)) == 1
    assert [each.webhook_id for each in found] == wanted[::-1]


def test_one_that_is_not_there(backend):
    with backend.db.read() as tx, pytest.raises(NotFound, match="not found"):
        webhooks.get(tx, uuid4())


def test_old_ones_are_removed_once_they_are_done_with(backend):
    """Never what is still to be delivered, however old it is."""
    done, dead, pending = (put(backend) for _ in range(3))
    assert deliver(backend, claim(backend))
    assert fail(backend, claim(backend), again_seconds=None)
    past, hour = timedelta(seconds=-1), timedelta(hours=1)
    with backend.db.begin() as tx:
        assert webhooks.forget(tx, delivered_for=hour, dead_for=hour) == 0
        assert webhooks.forget(tx, delivered_for=past, dead_for=hour) == 1
        assert webhooks.forget(tx, delivered_for=past, dead_for=past) == 1
        left = webhooks.page(tx, state=None, limit=10)
    assert [each.webhook_id for each in left] == [pending]
    assert {done, dead}.isdisjoint({pending})


def test_a_long_error_is_cut(backend):
    webhook_id = put(backend)
    with backend.db.begin() as tx:
        webhooks.failed(tx, claim_in(tx), Receipt(error="x" * 5_000), again_seconds=1.0)
    assert len(get(backend, webhook_id).last_error) == 500


def claim_in(tx):
    return webhooks.claim(tx, lease=LEASE, besides=[])[0]
