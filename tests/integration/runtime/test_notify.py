"""The clock's deliveries, to real receivers: at least once, the same id, and nobody held up by anybody."""

import asyncio
import inspect
import logging
from datetime import timedelta
from functools import wraps

import pytest
import sqlalchemy as sa

from deerflow.backend import open_worker
from deerflow.hooks.policy import receiver_of
from deerflow.hooks.send import open_sender
from deerflow.runtime.notify import Deliveries
from deerflow.storage import models, webhooks
from deerflow.storage.types import now
from tests.conftest import wait_for
from tests.factories import make_run
from tests.receiver import HANG, Receiver


@pytest.fixture
def settings(settings):
    """Receivers are on this machine."""
    own = {"webhook_allow_http": True, "webhook_allow_loopback": True, "webhook_slots": 4, "webhook_tries": 3}
    return settings.model_copy(update={**own, "webhook_timeout_seconds": 20.0})


@pytest.fixture
def make_receiver():
    """Makes receivers; all are closed at the end."""
    made = []

    def make(*answers, port=0):
        made.append(Receiver(port=port))
        made[-1].answers.extend(answers)
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def receiver(make_receiver):
    return make_receiver()


def with_clock(test):
    """The test's body runs on a loop; its ``deliveries`` are a clock's, the rest are fixtures."""
    wanted = inspect.signature(test)
    fixtures = [each for name, each in wanted.parameters.items() if name not in {"deliveries", "settings"}]

    @wraps(test)
    def run(settings, **fixtures):
        async def go():
            async with clock_of(settings) as deliveries:
                given = {"deliveries": deliveries, "settings": settings, **fixtures}
                await test(**{name: given[name] for name in wanted.parameters})

        asyncio.run(asyncio.wait_for(go(), 120))

    of_settings = inspect.Parameter("settings", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = wanted.replace(
        parameters=[each.replace(kind=of_settings.kind) for each in (of_settings, *fixtures)]
    )
    return run


class clock_of:  # noqa: N801 - reads as a function
    """What a clock process opens to deliver."""

    def __init__(self, settings):
        self._settings = settings

    async def __aenter__(self):
        self._worker = open_worker(self._settings, user_code=False)
        backend = await self._worker.__aenter__()
        self._sender = open_sender(self._settings, backend.project, backend.webhook_policy)
        self._deliveries = Deliveries(backend, self._sender)
        return self._deliveries

    async def __aexit__(self, *error):
        await self._deliveries.close()
        await self._sender.aclose()
        await self._worker.__aexit__(*error)


def put(backend, url):
    run = make_run(backend)
    with backend.db.begin() as tx:
        return webhooks.put(tx, run, url=url, receiver=receiver_of(url), payload={"run_id": str(run.run_id)})


def get(backend, webhook_id):
    with backend.db.read() as tx:
        return webhooks.get(tx, webhook_id)[0]


def set_row(backend, webhook_id, **values):
    """Make the row what only time would make of it."""
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.webhooks).where(models.webhooks.c.webhook_id == webhook_id).values(values))


async def until(condition, what):
    await asyncio.to_thread(wait_for, condition, what=what)


async def state(backend, webhook_id, wanted):
    await until(lambda: get(backend, webhook_id).state == wanted, wanted)


async def tries(backend, webhook_id, count):
    """Wait until that many tries have failed."""
    await until(lambda: (row := get(backend, webhook_id)).tries == count and row.last_error, f"{count} failed tries")


@with_clock
async def test_what_is_due_is_delivered(deliveries, backend, receiver):
    webhook_id = put(backend, receiver.url())
    await deliveries.notify()
    await state(backend, webhook_id, "delivered")
    (got,) = receiver.got
    assert got.id == str(webhook_id)
    assert set(got.json) == {"run_id", "webhook_sent_at"}


@with_clock
async def test_one_look_delivers_a_whole_backlog(deliveries, backend, receiver):
    """Each delivery makes room for the next one; the clock need not look again."""
    ids = [put(backend, receiver.url()) for _ in range(12)]
    await deliveries.notify()
    for webhook_id in ids:
        await state(backend, webhook_id, "delivered")
    assert sorted(got.id for got in receiver.got) == sorted(map(str, ids))


@with_clock
async def test_two_clocks_deliver_each_once(deliveries, settings, backend, receiver):
    ids = [put(backend, receiver.url()) for _ in range(20)]
    async with clock_of(settings) as other:
        await asyncio.gather(deliveries.notify(), other.notify())
        for webhook_id in ids:
            await state(backend, webhook_id, "delivered")
    assert sorted(got.id for got in receiver.got) == sorted(map(str, ids))


@with_clock
async def test_a_clock_that_dies_between_sending_and_noting_it_costs_a_repeat(deliveries, settings, backend, receiver):
    """At least once: the next clock sends it again, with the same id."""
    webhook_id = put(backend, receiver.url())
    sender = open_sender(settings, backend.project, backend.webhook_policy)
    with backend.db.begin() as tx:
        claimed = webhooks.claim(tx, lease=timedelta(seconds=30), besides=[])
    assert (await sender.send(*claimed)).is_delivered
    await sender.aclose()  # and this is where it dies
    await deliveries.notify()
    assert len(receiver.got) == 1, "its claim has not lapsed yet"
    set_row(backend, webhook_id, due_at=now(-1.0), last_error=None)
    await deliveries.notify()
    await state(backend, webhook_id, "delivered")
    assert [got.id for got in receiver.got] == [str(webhook_id)] * 2


@with_clock
async def test_a_clock_that_stops_leaves_what_it_was_sending(deliveries, settings, backend, make_receiver):
    receiver = make_receiver(HANG)
    webhook_id = put(backend, receiver.url())
    await deliveries.notify()
    await until(lambda: receiver.got, "the first try")
    await deliveries.close()
    left = get(backend, webhook_id)
    assert (left.state, left.tries) == ("pending", 1)
    assert left.due_at - left.created_at < timedelta(seconds=20 + 5 + 30)
    set_row(backend, webhook_id, due_at=now(-1.0), last_error=None)
    async with clock_of(settings) as next_clock:
        await next_clock.notify()
        await state(backend, webhook_id, "delivered")
    assert {got.id for got in receiver.got} == {str(webhook_id)}


@with_clock
async def test_a_receiver_that_was_down_gets_it_when_it_is_back(deliveries, backend, make_receiver):
    down = make_receiver()
    url, port = down.url(), down.port
    down.close()
    webhook_id = put(backend, url)
    await deliveries.notify()
    await tries(backend, webhook_id, 1)
    failed = get(backend, webhook_id)
    assert failed.last_error.startswith("ConnectError")
    assert failed.state == "pending"
    await deliveries.notify()
    assert get(backend, webhook_id).tries == 1, "not before its pause is over"
    set_row(backend, webhook_id, due_at=now(-1.0), last_error=None)
    receiver = make_receiver(port=port)
    await deliveries.notify()
    await state(backend, webhook_id, "delivered")
    assert [got.id for got in receiver.got] == [str(webhook_id)]


@with_clock
async def test_retry_after_counts(deliveries, backend, make_receiver):
    receiver = make_receiver((503, {"retry-after": "600"}))
    webhook_id = put(backend, receiver.url())
    await deliveries.notify()
    await tries(backend, webhook_id, 1)
    waiting = get(backend, webhook_id)
    assert timedelta(seconds=599) < waiting.due_at - waiting.created_at < timedelta(seconds=660)
    assert waiting.last_status == 503


@with_clock
async def test_after_the_last_try_it_is_dead_until_it_is_replayed(deliveries, settings, backend, make_receiver):
    receiver = make_receiver(*[(302, {"location": "http://127.0.0.1/"})] * 3)
    webhook_id = put(backend, receiver.url())
    for count in range(1, settings.webhook_tries + 1):
        assert get(backend, webhook_id).state == "pending"
        set_row(backend, webhook_id, due_at=now(-1.0), last_error=None)
        await deliveries.notify()
        await tries(backend, webhook_id, count)
    await state(backend, webhook_id, "dead")
    assert get(backend, webhook_id).last_error == "answered 302: redirects are not followed"
    set_row(backend, webhook_id, due_at=now(-1.0), last_error=None)
    await deliveries.notify()
    assert len(receiver.got) == 3
    with backend.db.begin() as tx:
        assert webhooks.replay(tx, webhook_id)
    await deliveries.notify()
    await state(backend, webhook_id, "delivered")
    assert {got.id for got in receiver.got} == {str(webhook_id)}


@with_clock
async def test_a_receiver_that_is_gone_is_not_asked_again(deliveries, backend, make_receiver):
    webhook_id = put(backend, make_receiver(410).url())
    await deliveries.notify()
    await state(backend, webhook_id, "dead")
    assert get(backend, webhook_id).tries == 1


@with_clock
async def test_one_that_takes_the_clock_down_each_time_is_given_up(deliveries, settings, backend, receiver):
    webhook_id = put(backend, receiver.url())
    set_row(backend, webhook_id, tries=settings.webhook_tries)
    await deliveries.notify()
    await state(backend, webhook_id, "dead")
    assert receiver.got == []


@with_clock
async def test_a_receiver_that_hangs_holds_one_slot_and_nobody_up(deliveries, backend, make_receiver):
    """The look returns at once, and everybody else gets what is theirs."""
    slow, other = make_receiver(*[HANG] * 5), make_receiver()
    waiting = [put(backend, slow.url()) for _ in range(5)]
    others = [put(backend, other.url()) for _ in range(8)]
    await asyncio.wait_for(deliveries.notify(), 10)
    for webhook_id in others:
        await state(backend, webhook_id, "delivered")
    await until(lambda: slow.got, "the one that hangs")
    assert len(slow.got) == 1
    assert [get(backend, webhook_id).tries for webhook_id in waiting] == [1, 0, 0, 0, 0]
    slow.release.set()
    for webhook_id in waiting:
        await state(backend, webhook_id, "delivered")


@with_clock
async def test_never_more_than_the_slots_at_once(deliveries, settings, backend, make_receiver):
    receivers = [make_receiver(HANG) for _ in range(settings.webhook_slots + 2)]
    ids = [put(backend, receiver.url()) for receiver in receivers]
    await deliveries.notify()
    await until(lambda: sum(len(each.got) for each in receivers) == settings.webhook_slots, "full slots")
    await deliveries.notify()
    assert sum(get(backend, webhook_id).tries for webhook_id in ids) == settings.webhook_slots
    for receiver in receivers:
        receiver.release.set()
    for webhook_id in ids:
        await state(backend, webhook_id, "delivered")


@with_clock
async def test_a_receiver_that_answers_well_gets_half_of_the_slots(deliveries, settings, backend, make_receiver):
    receiver = make_receiver(200, *[HANG] * 4)
    first = put(backend, receiver.url())
    await deliveries.notify()
    await state(backend, first, "delivered")
    more = [put(backend, receiver.url()) for _ in range(4)]
    await deliveries.notify()
    await until(lambda: len(receiver.got) == 1 + settings.webhook_slots // 2, "half of the slots")
    assert sum(get(backend, webhook_id).tries for webhook_id in more) == settings.webhook_slots // 2
    receiver.release.set()
    for webhook_id in more:
        await state(backend, webhook_id, "delivered")


@with_clock
async def test_what_is_logged_shows_no_secrets(deliveries, backend, make_receiver, caplog):
    """Neither the credentials nor the query of a URL, whatever becomes of it."""
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # as logs.setup does
    receiver = make_receiver(200, 500, 410)
    url = receiver.url("/hook?token=hidden-query", host="user:hidden-word@127.0.0.1")
    for _ in range(3):
        put(backend, url)
    await deliveries.notify()
    await until(lambda: len(told(caplog)) == 3, "three lines: delivered, failed, given up")
    shown = "\n".join(str(vars(record)) for record in caplog.records)
    assert f"http://127.0.0.1:{receiver.port}" in shown
    assert "hidden" not in shown


def told(caplog):
    return [record for record in caplog.records if record.name == "deerflow.runtime.notify"]
