"""Rate limits: what many processes count together, in a bounded memory."""

import json
from collections.abc import Iterator

import pytest
import redis

from deerflow.auth.limits import Limit, Limits
from deerflow.errors import RateLimited, Unavailable
from deerflow.events.connections import connect
from tests.conftest import wait_for
from tests.factories import at_once

THREE = Limit("three", 3, 60, "Three in a minute are enough")


@pytest.fixture
def client(valkey: str) -> Iterator[redis.Redis]:
    opened = connect(valkey)
    opened.flushall()
    yield opened
    opened.close()


@pytest.fixture
def limits(client: redis.Redis) -> Limits:
    return Limits(client)


def is_free(limits: Limits, limit: Limit, who: str) -> bool:
    """Spend one; whether there was one."""
    try:
        limits.spend(limit, who)
    except RateLimited:
        return False
    return True


def counters(client: redis.Redis) -> dict[str, int]:
    return {key.decode(): client.ttl(key) for key in client.keys("*")}


def test_two_processes_count_together(limits: Limits, valkey: str) -> None:
    other = connect(valkey)
    for each in (limits, Limits(other), limits):
        each.spend(THREE, "ada")
    for each in (limits, Limits(other)):
        with pytest.raises(RateLimited, match="Three in a minute are enough") as refused:
            each.spend(THREE, "ada")
        assert 55 < refused.value.retry_after <= 60
    limits.spend(THREE, "grace")
    limits.spend(Limit("other", 3, 60, ""), "ada")
    other.close()


def test_a_window_ends(limits: Limits) -> None:
    """Counted from its first; trying on meanwhile does not make it longer."""
    short = Limit("short", 1, 1, "")
    limits.spend(short, "ada")
    wait_for(lambda: is_free(limits, short, "ada"), what="the end of the window")


def test_a_refusal_tells_at_least_a_second(limits: Limits, client: redis.Redis) -> None:
    once = Limit("once", 1, 60, "")

    def told() -> int | None:
        is_free(limits, once, "ada")
        (key,) = client.keys("*")
        client.pexpire(key, 30)
        try:
            limits.spend(once, "ada")
        except RateLimited as refused:
            return refused.retry_after
        return None  # on a busy machine the window was over by then

    assert wait_for(told, what="a refusal at the very end of a window") == 1


def test_what_is_refused_is_not_counted(limits: Limits) -> None:
    """One of three that is given back is free again, however many were refused in between."""
    for _ in range(3):
        limits.spend(THREE, "ada")
    assert not any(is_free(limits, THREE, "ada") for _ in range(5))
    limits.give_back(THREE, "ada")
    assert [is_free(limits, THREE, "ada") for _ in range(2)] == [True, False]


def test_giving_back_makes_no_room_that_was_not_there(limits: Limits, client: redis.Redis) -> None:
    """Neither below zero nor for a counter that has expired meanwhile."""
    limits.give_back(THREE, "ada")
    assert counters(client) == {}
    limits.spend(THREE, "ada")
    for _ in range(3):
        limits.give_back(THREE, "ada")
    assert counters(client) == {}
    assert [is_free(limits, THREE, "ada") for _ in range(4)] == [True, True, True, False]


def test_giving_back_leaves_the_window_as_it_is(limits: Limits, client: redis.Redis) -> None:
    for _ in range(2):
        limits.spend(THREE, "ada")
    (key,) = client.keys("*")
    client.expire(key, 30)
    limits.give_back(THREE, "ada")
    assert 25 < client.ttl(key) <= 30


def test_memory_is_bounded(limits: Limits, client: redis.Redis) -> None:
    """Every counter expires, whatever was done to it, and none is as long as what it counts."""
    for who in ("ada", "x" * 100_000, "\ud800", "a/b:c"):
        for _ in range(2):
            limits.spend(THREE, who)
        limits.give_back(THREE, who)
    found = counters(client)
    assert len(found) == 4
    assert all(0 < ttl <= 60 for ttl in found.values())
    assert max(map(len, found)) < 60
    assert "ada" not in json.dumps(list(found))


def test_a_hundred_at_once_get_what_there_is(limits: Limits) -> None:
    ten = Limit("ten", 10, 60, "")
    assert at_once(*[lambda: is_free(limits, ten, "ada")] * 100).count(True) == 10


def test_without_redis_nothing_is_counted_and_nobody_let_in() -> None:
    nowhere = connect("redis://127.0.0.1:1")
    for act in (Limits(nowhere).spend, Limits(nowhere).give_back):
        with pytest.raises(Unavailable):
            act(THREE, "ada")
    nowhere.close()
