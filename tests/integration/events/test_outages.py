"""LogWriter when Redis loses, doubles, refuses or is away: all arrives once, or readers learn of the gap."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from deerflow.errors import Unavailable
from deerflow.events import writer as writer_module
from deerflow.events.connections import connect
from deerflow.events.log import RunLog, log_key
from tests.integration.events.speaking import on_a_loop, places_of, say_all, words_of, writing


@pytest.fixture
def own_log(own_valkey):
    """A reader of the Valkey that the test may kill."""
    reader = RunLog(connect(own_valkey.url))
    yield reader
    reader.close()


class LossyWay:
    """A way to Redis that loses the answers to ``losing`` appends: done is the command, gone the connection."""

    def __init__(self, upstream):
        self.losing = 0
        self._upstream = upstream
        self._serving = []

    @asynccontextmanager
    async def open(self, path):
        """Serve at *path*; the URL to use."""
        server = await asyncio.start_unix_server(self._serve, path)
        try:
            yield f"unix://{path}"
        finally:
            server.close()
            await server.wait_closed()
            await asyncio.gather(*self._serving)

    async def _serve(self, reader, writer):
        self._serving.append(asyncio.current_task())
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._upstream)
        lost = False

        async def pass_answers():
            while (answer := await upstream_reader.read(1 << 20)) and not lost:
                writer.write(answer)
            writer.close()

        answering = asyncio.create_task(pass_answers())
        while command := await reader.read(1 << 20):
            if self.losing and b"EVALSHA" in command:
                self.losing -= 1
                lost = True
            upstream_writer.write(command)
        upstream_writer.close()
        await answering
        for end in (writer, upstream_writer):
            with suppress(ConnectionError):
                await end.wait_closed()


@on_a_loop
async def test_an_append_whose_answer_was_lost_is_not_doubled(valkey, log, run_id, tmp_path):
    way = LossyWay(valkey.removeprefix("unix://"))
    async with way.open(tmp_path / "lossy.sock") as url, writing(url, run_id) as pen:
        await say_all(pen, [0])
        for word in range(1, 6):
            way.losing = 1
            await say_all(pen, [word])
            assert way.losing == 0
        assert pen.place == 6
    assert words_of(log.read(run_id, 0).entries) == list(range(6))


LOSSES = {
    "the last two": lambda redis, key: redis.rpop(key, 2),
    "all but the first": lambda redis, key: redis.ltrim(key, 0, 0),
    "everything": lambda redis, _key: redis.flushall(),
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_a_lost_tail_is_said_again_from_memory(valkey, redis, log, run_id, lose):
    @on_a_loop
    async def lose_and_go_on():
        async with writing(valkey, run_id) as pen:
            await say_all(pen, range(5))
            lose(redis, log_key(run_id))
            await say_all(pen, [5])

    lose_and_go_on()
    page = log.read(run_id, 0)
    assert (page.base, words_of(page.entries), places_of(page.entries)) == (
        0,
        list(range(6)),
        list(range(1, 7)),
    )


@on_a_loop
async def test_more_than_one_append_of_lost_tail_is_said_again(valkey, redis, log, run_id):
    async with writing(valkey, run_id) as pen:
        await say_all(pen, range(3_000))
        redis.ltrim(log_key(run_id), 0, 9)
        await say_all(pen, [3_000])
    assert words_of(log.read(run_id, 0, limit=5_000).entries) == list(range(3_001))


@on_a_loop
async def test_a_tail_lost_beyond_memory_leaves_a_gap_above_all_that_was_said(valkey, redis, log, run_id, monkeypatch):
    """scenario 26"""
    monkeypatch.setattr(writer_module, "_REPAIR_WINDOW_SECONDS", 0.0)
    async with writing(valkey, run_id) as pen:
        await say_all(pen, range(5))
        await say_all(pen, range(5, 9))
        redis.flushall()
        await say_all(pen, [9, 10])
    page = log.read(run_id, 5)
    assert page.base > 9
    assert words_of(page.entries) == [9, 10]
    assert places_of(page.entries) == [page.base + 1, page.base + 2]
    assert log.end(run_id) == page.end == page.base + 2
    assert places_of(log.read(run_id, page.base + 1).entries) == [page.base + 2]


@on_a_loop
async def test_memory_for_repairs_is_bounded_by_bytes(valkey, run_id):
    async with writing(valkey, run_id) as pen:
        for _ in range(20):
            await pen.say("values", b'"' + b"x" * 500_000 + b'"')
        await pen.flush()
        kept = sum(len(frame) for _, _, frame in pen._recent)
        assert 0 < kept == pen._recent_bytes <= writer_module._REPAIR_BYTES


@on_a_loop
async def test_the_next_attempt_gives_no_place_again_that_the_row_knows_of(valkey, redis, log, run_id):
    async with writing(valkey, run_id, attempt=1) as pen:
        await say_all(pen, range(5))
    redis.flushall()
    async with writing(valkey, run_id, attempt=2, known_upto=5) as pen:
        await say_all(pen, [5])
    page = log.read(run_id, 0)
    assert page.base > 5
    assert places_of(page.entries) == [page.base + 1]


@on_a_loop
async def test_a_log_as_long_as_the_row_knows_or_longer_is_gone_on_with(valkey, log, run_id):
    async with writing(valkey, run_id, attempt=1) as pen:
        await say_all(pen, range(5))
    for attempt, known_upto in ((2, 5), (3, 2)):
        async with writing(valkey, run_id, attempt=attempt, known_upto=known_upto) as pen:
            await say_all(pen, [attempt])
    page = log.read(run_id, 0)
    assert (page.base, page.end) == (0, 7)


@on_a_loop
async def test_a_killed_redis_comes_back_and_all_arrives_once_in_order(own_valkey, own_log, run_id):
    """scenario 61: the writer is patient, and says what is lost again"""
    words = iter(range(1_000_000))
    async with writing(own_valkey.url, run_id) as pen:

        async def speak(seconds):
            until = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < until:
                await pen.say("values", b"%d" % next(words))
                await asyncio.sleep(0.001)

        await speak(0.3)
        own_valkey.kill()
        await speak(0.3)
        own_valkey.start()
        await speak(0.3)
        own_valkey.kill()
        own_valkey.start()
        await pen.say("values", b"%d" % next(words))
        await pen.flush()
    said = next(words)
    entries = own_log.read(run_id, 0, limit=said + 1).entries
    assert words_of(entries) == list(range(said))
    assert places_of(entries) == list(range(1, said + 1))


@on_a_loop
async def test_a_writer_can_begin_while_redis_is_away(own_valkey, own_log, run_id):
    own_valkey.kill()

    async def speak():
        async with writing(own_valkey.url, run_id) as pen:
            await say_all(pen, [1, 2])
            await pen.store_outcome(b"{}")

    speaking = asyncio.create_task(speak())
    await asyncio.sleep(0)
    own_valkey.start()
    await speaking
    assert words_of(own_log.read(run_id, 0).entries) == [1, 2]
    assert own_log.outcome(run_id) == b"{}"


@on_a_loop
async def test_a_full_redis_is_waited_for(own_valkey, own_log, run_id):
    """noeviction: it refuses to write until old logs have expired"""
    client = connect(own_valkey.url)
    async with writing(own_valkey.url, run_id) as pen:
        await say_all(pen, [1])
        client.config_set("maxmemory", 1)
        await pen.say("values", b"2")
        flushing = asyncio.create_task(pen.flush())
        await _refused(client)
        assert not flushing.done()
        client.config_set("maxmemory", 0)
        await flushing
    assert words_of(own_log.read(run_id, 0).entries) == [1, 2]
    client.close()


async def _refused(client):
    """Wait until Redis has refused at least one append."""
    while client.info("errorstats").get("errorstat_OOM") is None:  # noqa: ASYNC110 - no event of ours
        await asyncio.sleep(0.01)


def test_a_reader_without_redis_is_told_so(own_valkey, own_log, run_id):
    own_valkey.kill()
    for ask in (own_log.end, own_log.outcome, lambda run: own_log.read(run, 0)):
        with pytest.raises(Unavailable):
            ask(run_id)
    own_log.wake(run_id)  # these two are best effort
    own_log.forget(run_id)
    own_valkey.start()
    assert own_log.end(run_id) == 0


@on_a_loop
async def test_an_ending_without_redis_does_not_fail_the_run(own_valkey, run_id):
    async with writing(own_valkey.url, run_id) as pen:
        await say_all(pen, [1])
        own_valkey.kill()
        await pen.expire(60)
