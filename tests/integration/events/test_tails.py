"""Tails: however many follow a run, one ring costs about one read, and everyone hears the same."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from deerflow.errors import Unavailable
from deerflow.events import tails as tails_module
from deerflow.events.connections import connect, connect_listener
from deerflow.events.log import RunLog
from deerflow.events.tails import Tails
from deerflow.events.wakeups import Wakeups
from tests.conftest import wait_for
from tests.integration.events.speaking import on_a_loop, places_of, said, say_all, words_of, writing

FOLLOWERS = 50
PATIENCE = 20.0


@pytest.fixture
def tails(valkey, log):
    """The tails of one web process."""
    wakeups = Wakeups(connect_listener(valkey))
    yield Tails(log, wakeups)
    wakeups.close()


def hear(follower, *, upto, heard):
    """Read as a stream does, until the place *upto*."""
    while follower.cursor < upto:
        follower.watch.clear()
        page = follower.read()
        heard += page.entries
        if follower.cursor >= page.end and follower.cursor < upto:
            assert follower.watch.wait(PATIENCE)


def follow(tails, run_id, *, after=0, upto):
    """A client that hears a run from one place to another."""
    heard = []
    with tails.follow(run_id) as follower:
        follower.start(after)
        hear(follower, upto=upto, heard=heard)
    return heard


def test_fifty_followers_hear_the_same(valkey, tails, run_id):
    """scenario 23"""
    said(valkey, run_id, range(10))
    with ThreadPoolExecutor(FOLLOWERS) as pool:
        following = [pool.submit(follow, tails, run_id, upto=3_010) for _ in range(FOLLOWERS)]

        @on_a_loop
        async def speak():
            async with writing(valkey, run_id, attempt=2) as pen:
                for start in range(10, 3_010, 100):
                    await say_all(pen, range(start, start + 100))

        speak()
        heard = [each.result(PATIENCE) for each in following]
    assert places_of(heard[0]) == list(range(1, 3_011))
    assert words_of(heard[0]) == list(range(3_010))
    assert all(each == heard[0] for each in heard)


def test_a_ring_costs_about_one_read_whoever_listens(valkey, redis, tails, run_id):
    """scenario 36"""
    rings = 20
    heard = [[] for _ in range(FOLLOWERS)]

    def hear_when_woken(follower, place, heard):
        assert follower.watch.wait(PATIENCE)
        hear(follower, upto=place, heard=heard)

    with ThreadPoolExecutor(FOLLOWERS) as pool, ExitStack() as stack:
        followers = [stack.enter_context(tails.follow(run_id)) for _ in heard]
        for follower in followers:
            follower.watch.clear()
        redis.config_resetstat()
        for place in range(1, rings + 1):
            hearing = [pool.submit(hear_when_woken, followers[i], place, heard[i]) for i in range(FOLLOWERS)]
            said(valkey, run_id, [place], attempt=place)
            for each in hearing:
                each.result(PATIENCE)
    assert all(words_of(each) == list(range(1, rings + 1)) for each in heard)
    assert rings <= redis.info("commandstats")["cmdstat_lrange"]["calls"] <= 2 * rings


def test_a_follower_far_behind_catches_up_beside_one_that_is_not(valkey, tails, run_id):
    said(valkey, run_id, range(1, 5_001))
    with tails.follow(run_id) as newest, tails.follow(run_id) as oldest, tails.follow(run_id) as middle:
        newest.start(4_990)
        middle.start(2_500)
        assert places_of(newest.read().entries) == list(range(4_991, 5_001))
        for follower, after in ((oldest, 0), (middle, 2_500)):
            heard = []
            hear(follower, upto=5_000, heard=heard)
            assert places_of(heard) == list(range(after + 1, 5_001))


def test_a_follower_that_finds_only_part_of_its_wish_in_the_tail_knows_that_there_is_more(valkey, tails, run_id):
    """Otherwise it would take the tail's end for the run's, and a finished run's stream would stop short."""
    said(valkey, run_id, range(1, 2_501))
    with tails.follow(run_id) as first, tails.follow(run_id) as second:
        first.read()
        second.start(500)
        page = second.read()
        assert places_of(page.entries) == list(range(501, 1_001))
        assert page.end == 2_500


def test_a_tail_keeps_a_bounded_number_of_bytes(valkey, tails, run_id):
    large = b'"' + b"x" * 50_000 + b'"'

    @on_a_loop
    async def speak():
        async with writing(valkey, run_id) as pen:
            for _ in range(100):
                await pen.say("values", large)
            await pen.flush()

    speak()
    with tails.follow(run_id) as follower, tails.follow(run_id) as late:
        heard, heard_late = [], []
        hear(follower, upto=100, heard=heard)
        tail = tails._tails[run_id]
        kept = sum(len(entry.frame) for entry in tail._entries)
        assert 0 < kept == tail._bytes <= tails_module._KEPT_BYTES
        hear(late, upto=100, heard=heard_late)
        assert heard == heard_late
        assert sum(len(entry.frame) for entry in tail._entries) <= tails_module._KEPT_BYTES


def test_one_entry_above_the_bound_is_still_heard(valkey, tails, run_id):
    @on_a_loop
    async def speak():
        async with writing(valkey, run_id) as pen:
            await pen.say("values", b'"' + b"x" * (2 * tails_module._KEPT_BYTES) + b'"')
            await pen.say("values", b"2")
            await pen.flush()

    speak()
    assert places_of(follow(tails, run_id, upto=2)) == [1, 2]


def test_a_tail_ends_with_its_last_follower(valkey, tails, run_id):
    """scenario 16"""
    said(valkey, run_id, range(3))
    with ExitStack() as first:
        first.enter_context(tails.follow(run_id)).read()
        with tails.follow(run_id) as second:
            first.close()
            assert list(tails._tails) == [run_id]
            assert len(second.read().entries) == 3
    assert tails._tails == {}


def test_a_follower_that_could_not_subscribe_leaves_no_tail(tails, run_id, monkeypatch):
    def refuse(*_channel):
        raise Unavailable("The event log does not answer")

    monkeypatch.setattr(tails._wakeups, "watch", refuse)
    with pytest.raises(Unavailable), tails.follow(run_id):
        pass
    assert tails._tails == {}


@pytest.mark.parametrize(("cursor", "place"), [(None, 7), (0, 0), (3, 3), (7, 7), (8, 7), (10**15 - 1, 7)])
def test_a_follower_starts_behind_its_cursor_or_behind_the_end(valkey, tails, run_id, cursor, place):
    """scenario 27: a cursor from the future is one behind the last entry"""
    said(valkey, run_id, range(7))
    with tails.follow(run_id) as follower:
        follower.start(cursor)
        assert follower.cursor == place


def test_every_follower_older_than_a_loss_sees_its_base(valkey, redis, tails, run_id):
    """scenario 26: the one that fetches and the one that finds it done"""
    said(valkey, run_id, range(5))
    with tails.follow(run_id) as first, tails.follow(run_id) as second:
        for follower in (first, second):
            follower.read()
        redis.flushall()
        said(valkey, run_id, [5, 6], attempt=2, known_upto=5)
        pages = [first.read(), second.read()]
        assert all(page.base > 5 and words_of(page.entries) == [5, 6] for page in pages)
        assert first.cursor == second.cursor == pages[0].base + 2


def test_followers_of_an_outage_are_told_and_go_on_afterwards(own_valkey, run_id):
    log, wakeups = RunLog(connect(own_valkey.url)), Wakeups(connect_listener(own_valkey.url))
    tails = Tails(log, wakeups)
    said(own_valkey.url, run_id, range(3))
    with tails.follow(run_id) as follower:
        follower.read()
        own_valkey.keep()
        own_valkey.kill()
        with pytest.raises(Unavailable):
            follower.read()
        own_valkey.start()
        said(own_valkey.url, run_id, [3], attempt=2)
        assert words_of(follower.read().entries) == [3]
    wakeups.close()
    log.close()


def test_nobody_waits_for_ever_behind_a_follower_whose_read_hangs(tails, run_id, monkeypatch):
    monkeypatch.setattr(tails_module, "_PATIENCE_SECONDS", 0.1)
    asked, answer = threading.Event(), threading.Event()
    read = tails._log.read

    def hang(*args, **kwargs):
        asked.set()
        assert answer.wait(PATIENCE)
        return read(*args, **kwargs)

    monkeypatch.setattr(tails._log, "read", hang)
    with tails.follow(run_id) as first, tails.follow(run_id) as second, ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(first.read)
        wait_for(asked.is_set)
        with pytest.raises(Unavailable):
            second.read()
        answer.set()
        assert hanging.result(PATIENCE).entries == []
        assert second.read().entries == []


def test_a_run_can_be_followed_while_it_speaks_from_any_place(valkey, tails, run_id):
    """scenario 25: the replay and what is live meet without a hole and without a double"""
    total = 400
    with ThreadPoolExecutor(20) as pool:

        async def speak():
            async with writing(valkey, run_id) as pen:
                following = []
                for word in range(1, total + 1):
                    await pen.say("values", b"%d" % word)
                    if word % 20 == 0:
                        await pen.flush()
                        after = word // 2
                        following.append((after, pool.submit(follow, tails, run_id, after=after, upto=total)))
                        await asyncio.sleep(0.002)
                await pen.flush()
                return following

        for after, heard in asyncio.run(speak()):
            assert words_of(heard.result(PATIENCE)) == list(range(after + 1, total + 1))
