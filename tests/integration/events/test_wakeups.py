"""Wakeups: who watches and then reads misses nothing, over one connection."""

import threading
from contextlib import ExitStack

import pytest

from deerflow.errors import Unavailable
from deerflow.events import connections
from deerflow.events import wakeups as wakeups_module
from deerflow.events.connections import connect, connect_listener
from deerflow.events.wakeups import ROW, Wakeups
from tests.conftest import wait_for
from tests.factories import at_once

TRIALS = 300
PATIENCE = 20.0


@pytest.fixture
def wakeups(redis, valkey):  # noqa: ARG001 - emptied first
    """The subscriptions of one process."""
    opened = Wakeups(connect_listener(valkey))
    yield opened
    opened.close()


@pytest.fixture
def own(own_valkey):
    """Wakeups on a Valkey that the test may kill."""
    opened = Wakeups(connect_listener(own_valkey.url))
    yield opened
    opened.close()


def subscribers(redis, *names):
    return [count for _, count in redis.pubsub_numsub(*names)]


def test_who_watches_and_then_reads_misses_nothing_whenever_it_is_said(wakeups, redis):
    """scenario 57: a publish before, during and after the subscription"""
    for trial in range(TRIALS):
        name = f"trial-{trial}"
        barrier = threading.Barrier(2)

        def speak(name=name, barrier=barrier):
            barrier.wait()
            redis.rpush(f"truth-{name}", "said")
            redis.publish(name, "")

        speaker = threading.Thread(target=speak)
        speaker.start()
        barrier.wait()
        with wakeups.watch(name) as watch:
            watch.clear()
            if not redis.llen(f"truth-{name}"):
                assert watch.wait(PATIENCE), f"missed in trial {trial}"
                assert redis.llen(f"truth-{name}")
        speaker.join()


def test_a_ring_wakes_every_watcher_of_its_channel_and_nobody_else(wakeups, redis):
    with wakeups.watch("a") as first, wakeups.watch("a") as second, wakeups.watch("b") as other:
        for watch in (first, second, other):
            watch.clear()
        redis.publish("a", "")
        assert first.wait(PATIENCE)
        assert second.wait(PATIENCE)
        assert not other.wait(0)
        assert [watch.clear() for watch in (first, second)] == [False, False]


def test_a_ring_for_the_row_is_told_apart_and_told_once(wakeups, redis):
    with wakeups.watch("a") as watch:
        watch.clear()
        redis.publish("a", ROW)
        redis.publish("a", "")
        wait_for(lambda: watch._row_rung)
        assert watch.clear()
        assert not watch.clear()


def test_a_ring_that_comes_while_the_last_ones_are_forgotten_is_kept(wakeups):
    """Whatever the order, either the clear tells of the row or the next one does."""
    with wakeups.watch("a") as watch:
        watch.clear()
        for _ in range(2_000):
            told = at_once_cleared(watch)
            assert told or watch.clear()


def at_once_cleared(watch):
    """Ring for the row and clear at the same time; whether the clear told of it."""
    ringer = threading.Thread(target=watch.ring, args=(ROW,))
    ringer.start()
    told = watch.clear()
    ringer.join()
    return told


def test_a_cut_connection_comes_back_and_what_was_said_meanwhile_is_read(wakeups, redis):
    """scenario 57"""
    with wakeups.watch("a") as watch, wakeups.watch("b") as other:
        for each in (watch, other):
            each.clear()
        cut = redis.pipeline(transaction=True)  # in one go: the subscription cannot come back in between
        cut.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        cut.publish("a", "")
        killed, heard = cut.execute()
        assert (killed, heard) == (1, 0)
        for each in (watch, other):  # nobody knows who missed something, so everybody looks
            assert each.wait(PATIENCE)
            assert each.clear(), "the row may have changed, too"
        wait_for(lambda: subscribers(redis, "a", "b") == [1, 1])
        redis.publish("b", "")
        assert other.wait(PATIENCE)


def test_many_that_watch_for_the_first_time_at_once_share_one_connection(wakeups, redis):
    """scenario 36"""
    together = threading.Barrier(30)

    def watch(number):
        with wakeups.watch(f"channel-{number}") as watched:
            together.wait(PATIENCE)
            watched.clear()
            redis.publish(f"channel-{number}", "")
            assert watched.wait(PATIENCE)
            made = len(redis.client_list(_type="pubsub"))
            together.wait(PATIENCE)
            return made

    counts = at_once(*(lambda number=number: watch(number) for number in range(30)))
    assert counts == [1] * 30


def test_the_last_watcher_to_leave_takes_the_subscription_along(wakeups, redis):
    """scenario 16"""
    with ExitStack() as first:
        first.enter_context(wakeups.watch("a"))
        with wakeups.watch("a"), wakeups.watch("b"):
            first.close()
            assert subscribers(redis, "a", "b") == [1, 1]
    wait_for(lambda: subscribers(redis, "a", "b") == [0, 0])
    assert wakeups._channels == {}


def test_watchers_that_come_and_go_all_the_time_are_woken_all_the_same(wakeups, redis):
    """A subscription, its end and the next subscription of one channel may all be under way at once."""

    def come_and_go():
        for _ in range(50):
            with wakeups.watch("busy") as watch:
                watch.clear()
                redis.publish("busy", "")
                assert watch.wait(PATIENCE)

    at_once(*[come_and_go] * 6)
    wait_for(lambda: subscribers(redis, "busy") == [0])


def test_without_redis_a_watcher_is_told_in_time_and_it_comes_back_by_itself(own, own_valkey, monkeypatch):
    """scenario 55"""
    monkeypatch.setattr(wakeups_module, "_CONFIRM_SECONDS", 0.3)
    own_valkey.kill()
    with pytest.raises(Unavailable), own.watch("a"):
        pass
    assert own._channels == {}
    own_valkey.start()
    wait_for(lambda: can_watch(own), what="the subscription")


def can_watch(wakeups):
    try:
        with wakeups.watch("a"):
            return True
    except Unavailable:
        return False


@pytest.fixture
def impatient(monkeypatch):
    """A time-out short enough for a test, and long enough for a busy machine."""
    monkeypatch.setattr(connections, "_TIMEOUT_SECONDS", 1.5)


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_went_dumb_is_given_up_and_made_again(own_valkey):
    """A server that vanished without a word closes nothing; only its silence tells."""
    own, client = Wakeups(connect_listener(own_valkey.url)), connect(own_valkey.url)
    with own.watch("a") as watch:
        before = client.client_list(_type="pubsub")[0]["id"]
        watch.clear()
        own_valkey.freeze()
        wait_for(lambda: own._connection is None, what="the loss to be noticed")
        own_valkey.thaw()
        assert watch.wait(PATIENCE)
        wait_for(lambda: [c["id"] for c in client.client_list(_type="pubsub")] not in ([], [before]))
    client.close()
    own.close()


@pytest.mark.usefixtures("impatient")
def test_a_quiet_connection_is_kept(own_valkey):
    own, client = Wakeups(connect_listener(own_valkey.url)), connect(own_valkey.url)
    with own.watch("a") as watch:
        before = client.client_list(_type="pubsub")[0]["id"]
        wait_for(lambda: client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0) >= 2)
        assert [c["id"] for c in client.client_list(_type="pubsub")] == [before]
        watch.clear()
        client.publish("a", "")
        assert watch.wait(PATIENCE)
    client.close()
    own.close()


def test_closing_wakes_who_waits_and_leaves_no_thread_and_no_connection(valkey, redis):
    closing = Wakeups(connect_listener(valkey))
    with closing.watch("a") as watch:
        watch.clear()
        thread = closing._thread
        closing.close()
        assert watch.wait(0)
        assert not thread.is_alive()
        with pytest.raises(Unavailable), closing.watch("b"):
            pass
    wait_for(lambda: redis.client_list(_type="pubsub") == [])
