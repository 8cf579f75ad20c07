"""A log is bounded by bytes: the oldest entries go, places stay true, and readers are told what they have missed."""

import pytest

from deerflow.domain.events import Entry
from deerflow.domain.words import RunStatus
from deerflow.events import writer as writer_module
from deerflow.events.log import Page, encode, log_key
from deerflow.events.tails import _Tail
from deerflow.runtime import poll
from deerflow.runtime.join import Following, Gap
from tests.factories import OWNER, finish_run, make_running
from tests.integration.events.speaking import always, on_a_loop, places_of, said, say_all, words_of, writing

SIZE = len(encode("values", b"10", 0))
"""Of each entry here: two digits are said."""
TEN = 10 * SIZE


def counted(redis, run_id):
    """What the head says of the list's size, and what is true."""
    head = int(redis.hget(f"df:{run_id}:head", "bytes"))
    return head, sum(map(len, redis.lrange(log_key(run_id), 0, -1)))


@on_a_loop
async def test_above_its_bound_a_log_loses_its_oldest_entries(valkey, redis, log, run_id):
    async with writing(valkey, run_id, keep_bytes=TEN + SIZE // 2) as pen:
        for word in range(10, 99):
            await say_all(pen, [word])
            page = log.read(run_id, 0)
            assert page.end == pen.place == word - 9
            assert words_of(page.entries) == list(range(max(10, word - 9), word + 1))
            assert places_of(page.entries) == list(range(page.base + 1, page.end + 1))
            assert counted(redis, run_id) == (len(page.entries) * SIZE,) * 2


@on_a_loop
async def test_one_append_may_be_larger_than_the_bound(valkey, redis, log, run_id):
    """Of those that come at once only the newest fit; the newest of all is kept however large it is."""
    async with writing(valkey, run_id, keep_bytes=TEN) as pen:
        await say_all(pen, range(10, 60))
        assert words_of(log.read(run_id, 0).entries) == list(range(50, 60))
        await pen.say("values", b'"' + b"x" * 10 * TEN + b'"')
        await pen.flush()
        page = log.read(run_id, 0)
        assert (page.base, places_of(page.entries)) == (50, [51])
        await say_all(pen, [61, 62])
    assert words_of(log.read(run_id, 0).entries) == [61, 62]
    assert counted(redis, run_id) == (2 * SIZE, 2 * SIZE)


@on_a_loop
async def test_the_next_attempt_counts_places_and_bytes_on(valkey, redis, log, run_id):
    for attempt in range(1, 6):
        async with writing(valkey, run_id, attempt=attempt, known_upto=7 * (attempt - 1), keep_bytes=TEN) as pen:
            await say_all(pen, range(10, 17))
            assert pen.place == 7 * attempt
    page = log.read(run_id, 0)
    assert (page.base, page.end, len(page.entries)) == (25, 35, 10)
    assert counted(redis, run_id) == (TEN, TEN)


@pytest.mark.parametrize("left", [9, 4, 0])
def test_a_lost_tail_is_said_again_into_a_log_that_has_lost_its_oldest(valkey, redis, log, run_id, left):
    """Redis comes back as it was some appends ago: list, base and count of one moment, as in its append-only file."""

    @on_a_loop
    async def lose_and_go_on():
        async with writing(valkey, run_id, keep_bytes=TEN) as pen:
            await say_all(pen, range(10, 10 + 20))
            keys = (log_key(run_id), f"df:{run_id}:head")
            before = [redis.dump(key) for key in keys]
            for word in range(30, 30 + left):
                await say_all(pen, [word])
            for key, dumped in zip(keys, before, strict=True):
                redis.restore(key, 0, dumped, replace=True)
            await say_all(pen, range(30 + left, 60))
            assert pen.place == 50

    lose_and_go_on()
    page = log.read(run_id, 0)
    assert (page.base, words_of(page.entries)) == (40, list(range(50, 60)))
    assert counted(redis, run_id) == (TEN, TEN)


@on_a_loop
async def test_a_list_that_is_gone_counts_from_nothing(valkey, redis, log, run_id):
    async with writing(valkey, run_id, keep_bytes=TEN) as pen:
        await say_all(pen, range(10, 20))
        redis.delete(log_key(run_id))
        await say_all(pen, [20])
    assert words_of(log.read(run_id, 0).entries) == list(range(11, 21))
    assert counted(redis, run_id) == (TEN, TEN)


@on_a_loop
async def test_a_rebased_log_counts_from_nothing(valkey, redis, log, run_id, monkeypatch):
    monkeypatch.setattr(writer_module, "_REPAIR_WINDOW_SECONDS", 0.0)
    async with writing(valkey, run_id, keep_bytes=TEN) as pen:
        await say_all(pen, range(10, 18))
        await say_all(pen, [18])  # what is remembered is this alone
        redis.ltrim(log_key(run_id), 0, 3)
        await say_all(pen, range(20, 30))
    page = log.read(run_id, 0)
    assert page.base > 9
    assert words_of(page.entries) == list(range(20, 30))
    assert counted(redis, run_id) == (TEN, TEN)


@pytest.fixture
def bounded(backend, settings):
    """A run that has said 30 words, of which the last 10 are kept."""
    run = make_running(backend)
    said(settings.redis, run.run_id, range(10, 40), attempt=run.attempt, keep_bytes=TEN)
    return run


@pytest.mark.parametrize("after", [0, 1, 19])
def test_a_reader_behind_what_is_kept_gets_one_gap_and_then_the_rest(backend, bounded, after):
    """scenario 26: also who asks for everything is told that it is not everything"""
    assert finish_run(backend, bounded, status=RunStatus.SUCCESS)
    gap, *rest = Following(backend, bounded, after=after, still_holds=always)
    assert gap == Gap(20)
    assert words_of([entry for step in rest for entry in step]) == list(range(30, 40))


@pytest.mark.parametrize("after", [20, 21, 30])
def test_a_reader_at_what_is_kept_gets_no_gap(backend, bounded, after):
    assert finish_run(backend, bounded, status=RunStatus.SUCCESS)
    heard = list(Following(backend, bounded, after=after, still_holds=always))
    assert not any(isinstance(step, Gap) for step in heard)
    assert places_of([entry for step in heard for entry in step]) == list(range(after + 1, 31))


def test_a_live_follower_whom_the_log_has_left_behind_is_told(backend, bounded, settings):
    """It was up to date; while it did not read, more was said than is kept."""
    steps = iter(Following(backend, bounded, after=25, still_holds=always))
    assert places_of(next(steps)) == list(range(26, 31))
    said(settings.redis, bounded.run_id, range(40, 70), attempt=bounded.attempt, keep_bytes=TEN)
    assert next(steps) == Gap(50)
    assert places_of(next(steps)) == list(range(51, 61))
    steps.close()


@pytest.mark.parametrize(("after", "gap"), [(0, 20), (19, 20), (20, None), (25, None)])
def test_a_page_of_events_says_what_is_not_kept(backend, bounded, after, gap):
    """scenario 26"""
    page = poll.events(backend, OWNER, bounded, after=after, limit=100, wait_seconds=0, still_holds=always)
    assert (page.gap_upto, page.next) == (gap, 30)
    assert places_of(page.entries)[0] == max(after, 20) + 1


def entries(first, last):
    return [Entry(place, 0, b"event: values\r\ndata: 1\r\n") for place in range(first, last + 1)]


def test_what_the_tail_still_has_is_no_gap():
    """Redis keeps less than this process: who reads from the tail misses nothing."""
    tail = _Tail()
    tail.keep(Page(0, 30, entries(1, 30)))
    tail.keep(Page(25, 40, entries(31, 40)))
    assert tail.after(10) == Page(10, 40, entries(11, 40))
    assert tail.after(39) == Page(25, 40, entries(40, 40))


def test_a_tail_has_no_hole_where_the_log_went_on_without_it():
    tail = _Tail()
    tail.keep(Page(0, 30, entries(1, 30)))
    tail.keep(Page(50, 60, entries(51, 60)))
    assert tail.after(30) is None
    assert tail.after(49) is None
    assert tail.after(50) == Page(50, 60, entries(51, 60))


@pytest.mark.parametrize(("size", "most"), [(900_000, 4), (3_000_000, 1), (5_000_000, 1), (100_000, 41)])
def test_a_read_of_large_entries_is_bounded_by_bytes(backend, settings, size, most):
    """scenario 36: a web process does not hold a whole log for each slow reader; nobody misses anything by it"""
    run = make_running(backend)
    places = list(range(1, 61 if size == 100_000 else 12))

    @on_a_loop
    async def speak():
        async with writing(settings.redis, run.run_id, attempt=run.attempt) as pen:
            for _ in places:
                await pen.say("values", b'"' + b"x" * size + b'"')
            await pen.flush()

    speak()
    assert places_of(backend.log.read(run.run_id, 0).entries) == places[:most]
    assert places_of(backend.log.read(run.run_id, 3).entries) == places[3 : 3 + most]
    assert finish_run(backend, run, status=RunStatus.SUCCESS)
    heard = [places_of(step) for step in Following(backend, run, after=0, still_holds=always)]
    assert max(map(len, heard)) == most
    assert [place for page in heard for place in page] == places
    after, polled, done = 0, [], False
    while not done:
        page = poll.events(backend, OWNER, run, after=after, limit=100, wait_seconds=0, still_holds=always)
        polled += places_of(page.entries)
        after, done = page.next, page.done
    assert polled == places
