"""Following a run: every replay is the suffix of one story, and every run's end is the reader's end."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import pytest

from deerflow.domain.words import RunStatus
from deerflow.events.connections import connect
from deerflow.events.log import encode, log_key
from deerflow.events.wakeups import Watch
from deerflow.runtime.join import Following, Gap
from deerflow.runtime.listening import Heartbeat
from deerflow.runtime.remove import remove_thread
from tests.conftest import wait_for
from tests.factories import OWNER, claim_run, finish_run, make_run, make_running
from tests.integration.events.speaking import always, places_of, said, words_of

PATIENCE = 20.0


@pytest.fixture
def quick(backend):
    """The backend with heartbeats that a test can wait for."""
    return replace(backend, rules=replace(backend.rules, heartbeat_seconds=0.05))


@pytest.fixture
def say(settings):
    """Say words as the worker of a run's last claim."""
    return lambda run, words, **options: said(settings.redis, run.run_id, words, attempt=run.attempt, **options)


def end(backend, run, status=RunStatus.SUCCESS):
    """The row first, then the wake, as a worker does it."""
    assert finish_run(backend, run, status=status)
    backend.log.wake(run.run_id)


def steps(backend, run, *, after=0):
    return list(Following(backend, run, after=after, still_holds=always))


def entries(found):
    return [entry for step in found if isinstance(step, list) for entry in step]


def in_a_thread(pool, backend, run, *, after=0):
    """Follow in a thread; returns when the follower has subscribed."""
    following = pool.submit(steps, backend, run, after=after)
    wait_for(lambda: backend.tails._tails, what="the follower")
    return following


def test_a_replay_from_any_place_is_the_suffix_of_the_whole(backend, say):
    """scenario 25: from any index, no gap, no double"""
    run = make_running(backend)
    say(run, range(30))
    end(backend, run)
    whole = entries(steps(backend, run))
    assert places_of(whole) == list(range(1, 31))
    for after in range(31):
        assert entries(steps(backend, run, after=after)) == whole[after:]


@pytest.mark.parametrize("after", [None, 3, 999, 10**15 - 1])
def test_a_finished_run_ends_at_once_for_who_has_nothing_left_to_hear(backend, say, after):
    """scenarios 27 and 28: a cursor from the future, or none, neither fails nor hangs"""
    run = make_running(backend)
    say(run, range(3))
    end(backend, run)
    assert steps(backend, run, after=after) == []


def test_a_finished_run_whose_log_has_expired_ends_at_once(backend, settings, say):
    """scenario 28"""
    run = make_running(backend)
    say(run, range(3))
    end(backend, run)
    client = connect(settings.redis)
    client.flushall()
    client.close()
    for after in (None, 0, 2):
        assert steps(backend, run, after=after) == []


def test_a_run_of_many_pages_is_heard_to_its_end(backend, say):
    run = make_running(backend)
    say(run, range(3_500))
    end(backend, run)
    assert words_of(entries(steps(backend, run))) == list(range(3_500))


def test_all_that_was_said_before_the_end_is_heard_however_much_it_was(backend, say, monkeypatch):
    """Between the last read of the log and the look at the row a run may say more than one page, and end."""
    run = make_running(backend)
    say(run, range(10))
    is_over = Following._is_over

    def meanwhile(following):
        monkeypatch.setattr(Following, "_is_over", is_over)
        say(run, range(10, 2_600))
        end(backend, run)
        return is_over(following)

    monkeypatch.setattr(Following, "_is_over", meanwhile)
    assert words_of(entries(steps(backend, run))) == list(range(2_600))


def test_what_is_said_live_is_heard_to_the_end(backend, say):
    run = make_running(backend)
    say(run, range(3))
    with ThreadPoolExecutor(2) as pool:
        live, replayed = in_a_thread(pool, backend, run), in_a_thread(pool, backend, run, after=2)
        for start in range(3, 30, 3):
            say(run, range(start, start + 3))
        end(backend, run)
        assert words_of(entries(live.result(PATIENCE))) == list(range(30))
        assert words_of(entries(replayed.result(PATIENCE))) == list(range(2, 30))


def test_without_a_cursor_only_what_comes_from_now_on_is_heard(quick, say):
    run = make_running(quick)
    say(run, range(3))
    following = iter(Following(quick, run, after=None, still_holds=always))
    assert isinstance(next(following), Heartbeat)
    say(run, [3])
    end(quick, run)
    assert words_of(entries(following)) == [3]


def test_a_run_that_waits_in_the_queue_is_heard_from_its_first_word(backend, say):
    run = make_run(backend)
    with ThreadPoolExecutor(1) as pool:
        following = in_a_thread(pool, backend, run)
        claimed = claim_run(backend, run)
        say(claimed, [1, 2])
        end(backend, claimed)
        assert words_of(entries(following.result(PATIENCE))) == [1, 2]


def test_a_deleted_run_ends(backend, say):
    """Readers take a missing row as the end."""
    run = make_running(backend)
    say(run, [1])
    with ThreadPoolExecutor(1) as pool:
        following = in_a_thread(pool, backend, run)
        remove_thread(backend, OWNER, run.thread_id)
        assert words_of(entries(following.result(PATIENCE))) in ([], [1])
    assert steps(backend, run) == []


def test_an_end_whose_wake_was_lost_is_seen_at_the_next_heartbeat(quick):
    """scenario 29: each tick looks at the row"""
    run = make_running(quick)
    with ThreadPoolExecutor(1) as pool:
        following = in_a_thread(pool, quick, run)
        assert finish_run(quick, run)
        assert all(isinstance(step, Heartbeat) for step in following.result(PATIENCE))


def test_words_whose_wake_was_lost_are_heard_at_the_next_heartbeat(quick, settings, say):
    """Behind every doorbell there is a clock: one for all that this process follows."""
    heard, other = make_running(quick), make_running(quick)
    say(heard, [1])
    with ThreadPoolExecutor(2) as pool:
        following = [in_a_thread(pool, quick, run) for run in (heard, other)]
        wait_for(lambda: [tail.end for tail in quick.tails._tails.values()] == [1, 0], what="the readers")
        client = connect(settings.redis)
        client.rpush(log_key(heard.run_id), encode("values", b"2", 0))
        client.close()
        wait_for(lambda: quick.tails._tails[heard.run_id].end == 2, what="the second word")
        end(quick, heard)
        end(quick, other)
        assert [words_of(entries(each.result(PATIENCE))) for each in following] == [[1, 2], []]


def test_a_silent_run_is_a_steady_row_of_heartbeats(quick):
    run = make_running(quick)
    started = time.monotonic()
    following = iter(Following(quick, run, after=0, still_holds=always))
    assert all(isinstance(step, Heartbeat) for step in islice(following, 5))
    assert time.monotonic() - started >= 5 * 0.05 * 0.9
    following.close()


def test_heartbeats_come_although_the_run_rings_all_the_time(quick, monkeypatch):
    """A client that filters what it hears would get no sign of life from a talkative run."""
    monkeypatch.setattr(Watch, "wait", lambda _watch, seconds: time.sleep(min(seconds, 0.001)) is None)
    following = Following(quick, make_running(quick), after=0, still_holds=always)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(lambda: next(iter(following), None))
        try:
            assert isinstance(heard.result(PATIENCE), Heartbeat)
        finally:
            following.interrupt()


def test_an_interrupted_follower_ends_at_once(backend):
    run = make_running(backend)
    following = Following(backend, run, after=0, still_holds=always)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(list, following)
        wait_for(lambda: following._watch is not None, what="the follower")
        following.interrupt()
        assert heard.result(PATIENCE) == []
    assert backend.tails._tails == {}


@pytest.mark.parametrize("kind", ["stream", "wait"])
def test_when_this_process_is_told_to_stop_followers_end_and_their_runs_have_not(backend, kind):
    run = make_running(backend)
    following = Following(backend, run, after=0, still_holds=always)
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(list, following if kind == "stream" else following.heartbeats())
        wait_for(lambda: following._watch is not None, what="the follower")
        backend.wakeups.end_waits()
        assert heard.result(PATIENCE) == []
    late = Following(backend, run, after=0, still_holds=always)
    assert list(late) == []
    assert not following.ended
    assert not late.ended
    assert backend.tails._tails == {}


def test_a_follower_that_has_heard_the_end_says_so(backend, say):
    run = make_running(backend)
    say(run, [1])
    end(backend, run)
    stream, wait = (
        Following(backend, run, after=0, still_holds=always),
        Following(backend, run, after=0, still_holds=always),
    )
    assert words_of(entries(stream)) == [1]
    assert list(wait.heartbeats()) == []
    assert stream.ended
    assert wait.ended


def test_closing_the_iterator_frees_what_it_holds(quick):
    """scenario 16"""
    run = make_running(quick)
    following = iter(Following(quick, run, after=0, still_holds=always))
    next(following)
    assert list(quick.tails._tails) == [run.run_id]
    following.close()
    assert quick.tails._tails == {}
    assert quick.wakeups._channels == {}


def test_a_reader_older_than_a_loss_gets_one_gap_and_then_the_rest(backend, settings, say):
    """scenario 26"""
    run = make_running(backend)
    say(run, range(5))
    client = connect(settings.redis)
    client.flushall()
    client.close()
    say(run, [5, 6], known_upto=5)
    end(backend, run)
    found = steps(backend, run, after=3)
    assert isinstance(found[0], Gap)
    assert words_of(entries(found)) == [5, 6]
    assert places_of(entries(found))[0] == found[0].upto + 1
    assert len(found) == 2


def test_waiting_for_the_end_says_nothing_but_heartbeats(quick, say):
    run = make_running(quick)
    say(run, range(3))
    waiting = Following(quick, run, after=None, still_holds=always).heartbeats()
    assert isinstance(next(waiting), Heartbeat)
    say(run, range(3, 2_000))
    end(quick, run)
    assert all(isinstance(step, Heartbeat) for step in waiting)


def test_who_may_read_no_more_hears_no_more_also_in_the_middle_of_much(backend, say):
    """The question is a matter of time, not of silence."""
    eager = replace(backend, rules=replace(backend.rules, heartbeat_seconds=0))
    run = make_running(eager)
    say(run, range(3_500))
    end(eager, run)
    answers = iter([True, False])
    following = Following(eager, run, after=0, still_holds=lambda: next(answers))
    assert 0 < len(entries(following)) < 3_500
    assert (following.refused, following.ended) == (True, False)
