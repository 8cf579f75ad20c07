"""LogWriter: places without holes, attempts that fence each other, and a queue that keeps the order."""

import asyncio
from contextlib import suppress

import pytest

from deerflow.errors import Fenced
from deerflow.events import writer as writer_module
from deerflow.events.connections import connect_async
from deerflow.events.log import log_key
from deerflow.events.writer import LogWriter
from tests.integration.events.speaking import KEEP_BYTES, on_a_loop, places_of, say_all, words_of, writing

MANY = 10_000


def keys(run_id):
    return {f"df:{run_id}:{kind}".encode() for kind in ("log", "head", "outcome")}


@on_a_loop
async def test_an_events_id_is_its_place_counted_from_one(valkey, log, run_id):
    """scenario 38"""
    async with writing(valkey, run_id) as pen:
        await say_all(pen, range(5))
        assert pen.place == 5
    entries = log.read(run_id, 0).entries
    assert places_of(entries) == [1, 2, 3, 4, 5]
    assert words_of(entries) == [0, 1, 2, 3, 4]


@on_a_loop
async def test_the_next_attempt_counts_on(valkey, log, run_id):
    for attempt in (1, 2, 5):
        async with writing(valkey, run_id, attempt=attempt) as pen:
            await say_all(pen, [attempt, attempt])
    entries = log.read(run_id, 0).entries
    assert places_of(entries) == [1, 2, 3, 4, 5, 6]
    assert words_of(entries) == [1, 1, 2, 2, 5, 5]


@on_a_loop
async def test_an_older_attempt_is_refused_once_a_newer_one_has_opened(valkey, log, run_id):
    """scenario 11"""
    async with writing(valkey, run_id, attempt=1) as old:
        await say_all(old, [1])
        async with writing(valkey, run_id, attempt=2) as new:
            await old.say("values", b"0")
            with pytest.raises(Fenced):
                await old.flush()
            with pytest.raises(Fenced):
                await old.say("values", b"0")
            await say_all(new, [2])
    assert words_of(log.read(run_id, 0).entries) == [1, 2]


@on_a_loop
async def test_an_older_attempt_can_neither_open_nor_rebase(valkey, log, run_id):
    async with writing(valkey, run_id, attempt=2) as new:
        await say_all(new, [2])
        for known_upto in (0, 50):
            with pytest.raises(Fenced):
                async with writing(valkey, run_id, attempt=1, known_upto=known_upto):
                    pass
        old = LogWriter(connect_async(valkey), run_id, 1, keep_bytes=KEEP_BYTES)
        with pytest.raises(Fenced):
            await old._rebase(1_000)
        await old._redis.aclose()
        await say_all(new, [2])
    page = log.read(run_id, 0)
    assert (page.base, words_of(page.entries)) == (0, [2, 2])


@on_a_loop
async def test_ten_thousand_events_arrive_in_order_in_far_fewer_appends(valkey, redis, log, run_id):
    redis.config_resetstat()
    async with writing(valkey, run_id) as pen:
        await say_all(pen, range(MANY))
    entries = log.read(run_id, 0, limit=MANY + 1).entries
    assert words_of(entries) == list(range(MANY))
    assert places_of(entries) == list(range(1, MANY + 1))
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] < MANY / 50


@on_a_loop
async def test_the_first_event_is_not_kept_back_for_company(valkey, log, run_id):
    async with writing(valkey, run_id) as pen:
        await say_all(pen, [1])
        assert words_of(log.read(run_id, 0).entries) == [1]


@on_a_loop
async def test_large_events_are_not_sent_in_one_piece(valkey, log, run_id, monkeypatch):
    """A batch is bounded by bytes, too: Redis serves nobody else meanwhile and refuses what is too long."""
    batches = []
    batch = LogWriter._batch
    monkeypatch.setattr(LogWriter, "_batch", lambda pen: batches.append(batch(pen)) or batches[-1])
    large = b'"' + b"x" * 400_000 + b'"'
    async with writing(valkey, run_id) as pen:
        for _ in range(30):
            await pen.say("values", large)
        await pen.say("values", large * 5)  # alone above the bound: sent by itself
        await pen.flush()
    assert sum(map(len, batches)) == log.end(run_id) == 31
    assert all(len(sent) == 1 or sum(map(len, sent)) <= writer_module._BYTES_PER_APPEND for sent in batches)


@on_a_loop
async def test_who_speaks_faster_than_redis_takes_it_has_to_wait(valkey, log, run_id):
    """Memory is bounded by bytes: an unsent event waits in the worker only up to a limit."""
    large = b'"' + b"x" * 1_000_000 + b'"'
    most = 0
    async with writing(valkey, run_id) as pen:
        for _ in range(40):
            await pen.say("values", large)
            most = max(most, pen._pending_bytes)
        await pen.flush()
    assert most <= writer_module._UNSENT_BYTES + len(large) + 100
    assert log.end(run_id) == 40


@on_a_loop
async def test_a_flush_waits_until_all_said_before_is_stored(valkey, log, run_id):
    """scenario 56"""
    async with writing(valkey, run_id) as pen:
        for word in range(2_000):
            await pen.say("values", b"%d" % word)
        await pen.flush()
        assert log.end(run_id) == pen.place == 2_000
        await pen.flush()  # nothing said since: returns


@on_a_loop
async def test_what_is_promised_to_the_row_is_stored_already(valkey, log, run_id):
    """Otherwise a worker that dies with unsent events makes its successor believe that Redis lost them."""
    async with writing(valkey, run_id) as pen:
        for word in range(3_000):
            assert await pen.say("values", b"%d" % word) <= log.end(run_id)
            if word % 100 == 0:
                await asyncio.sleep(0)


@on_a_loop
async def test_a_cut_off_writer_refuses_and_wakes_who_waits_for_it(own_valkey, run_id):
    async with writing(own_valkey.url, run_id) as pen:
        own_valkey.kill()
        await pen.say("values", b"1")
        flushing = asyncio.create_task(pen.flush())
        await asyncio.sleep(0)
        pen.cut_off()
        with pytest.raises(Fenced):
            await asyncio.wait_for(flushing, 20)
        with pytest.raises(Fenced):
            await pen.say("values", b"2")


@on_a_loop
async def test_a_closed_writer_leaves_nobody_waiting(own_valkey, run_id):
    """A node that does not let itself be cancelled still speaks when its run has been put away."""
    async with writing(own_valkey.url, run_id) as pen:
        own_valkey.kill()
        await pen.say("values", b"1")
        flushing = asyncio.create_task(pen.flush())
        await asyncio.sleep(0)
        await pen.close()
        with pytest.raises(Fenced):
            await asyncio.wait_for(flushing, 20)


@on_a_loop
async def test_a_name_stays_on_one_line(valkey, log, run_id):
    """A node may be named anything; a line feed in it must not begin a field of the frame."""
    async with writing(valkey, run_id) as pen:
        await pen.say("updates|a\r\ndata: b\nc:1", b"{}")
        await pen.flush()
    entry = log.read(run_id, 0).entries[0]
    assert (entry.name, entry.data) == ("updates|a data: b c:1", b"{}")


@on_a_loop
async def test_what_a_run_leaves_lives_for_days_and_after_its_end_as_long_as_it_is_told(valkey, redis, log, run_id):
    async with writing(valkey, run_id) as pen:
        await say_all(pen, [1])
        await pen.store_outcome(b'{"n":1}')
        assert set(redis.keys()) == keys(run_id)
        assert all(6 * 86_400 < redis.ttl(key) <= 7 * 86_400 for key in keys(run_id))
        await pen.expire(60)
        assert all(0 < redis.ttl(key) <= 60 for key in keys(run_id))
    assert log.outcome(run_id) == b'{"n":1}'


@on_a_loop
async def test_every_append_rings_after_it_is_stored(valkey, redis, log, run_id):
    listener = redis.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(log_key(run_id))
    listener.get_message(timeout=20)
    async with writing(valkey, run_id) as pen:
        await say_all(pen, [1])
        assert listener.get_message(timeout=20)["data"] == b""
        assert log.end(run_id) == 1
    listener.close()


def test_a_run_that_said_nothing_has_an_empty_log_and_no_outcome(log, run_id):
    page = log.read(run_id, 0)
    assert (page.base, page.end, page.entries, log.end(run_id)) == (0, 0, [], 0)
    assert log.outcome(run_id) is None


@on_a_loop
async def test_a_forgotten_run_leaves_no_key(valkey, redis, log, run_id):
    async with writing(valkey, run_id) as pen:
        await say_all(pen, [1])
        await pen.store_outcome(b"{}")
    log.forget(run_id)
    assert redis.keys() == []


@pytest.mark.parametrize("after", [0, 1, 6, 7, 8, 100])
def test_a_read_gives_what_follows_the_cursor_up_to_its_limit(valkey, log, run_id, after):
    @on_a_loop
    async def speak():
        async with writing(valkey, run_id) as pen:
            await say_all(pen, range(1, 8))

    speak()
    assert places_of(log.read(run_id, after).entries) == list(range(after + 1, 8))
    page = log.read(run_id, after, limit=2)
    assert places_of(page.entries) == list(range(after + 1, 8))[:2]
    assert (page.base, page.end) == (0, 7)


@on_a_loop
async def test_closing_ends_though_a_client_of_redis_swallows_the_cancel(valkey, run_id):
    """Clients of Redis do so when it comes while they connect; the attempt would hold its slot for ever."""
    sending = asyncio.Event()

    class Swallowing(LogWriter):
        async def _append(self, place, frames):
            sending.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return await super()._append(place, frames)

    async with connect_async(valkey) as client:
        pen = Swallowing(client, run_id, 1, keep_bytes=KEEP_BYTES)
        await pen.open(known_upto=0)
        await pen.say("values", b"0")
        await sending.wait()
        async with asyncio.timeout(20):
            await pen.close()
