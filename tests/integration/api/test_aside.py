"""Passwords are looked at beside the hub, few at a time, and not without end."""

import json
import subprocess
import sys

import pytest

from deerflow.api.hub import Aside, spare_cores
from deerflow.settings import ROOT

SCRIPT = """
import gevent.monkey
gevent.monkey.patch_all()
import json, os, threading, time
import gevent
from deerflow.api import hub
from deerflow.api.hub import Aside
from deerflow.auth import passwords
from deerflow.errors import Unavailable

niceness, hub._NICENESS = hub._NICENESS, 0  # on a busy machine the hashes would wait for minutes
aside = Aside(at_once=1, waiting=5)
kept = passwords.hash("plum ladder quartz echo")
ticks, running = [], [0, 0]

def tick():
    while True:
        ticks.append(time.monotonic())
        time.sleep(0.002)

def look():
    running[0] += 1
    running[1] = max(running)
    right = passwords.verify("plum ladder quartz echo", kept)
    running[0] -= 1
    return right

def ask():
    try:
        return aside(look)
    except Unavailable as error:
        return error.retry_after

def fail():
    try:
        aside(lambda: 1 / 0)
    except ZeroDivisionError:
        return "raised"

ticker = gevent.spawn(tick)
time.sleep(0.01)
del ticks[:]
started = time.monotonic()
asked = [gevent.spawn(ask) for _ in range(9)]
gevent.joinall(asked)
took, seen = time.monotonic() - started, len(ticks)
ticker.kill()
failure, again = fail(), ask()
hub._NICENESS = niceness
nice = Aside(at_once=1, waiting=5)
priorities = [os.getpriority(os.PRIO_PROCESS, 0), nice(lambda: os.getpriority(os.PRIO_PROCESS, 0))]
print(json.dumps({
    "answers": [each.value for each in asked], "most": running[1], "took": took, "ticks": seen, "failure": failure,
    "niceness": priorities, "again": again,
}))
"""


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    """What happens in a process that gevent has patched, as the web process is."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=280, check=True
    )
    assert ended.stderr == ""
    found: dict[str, object] = json.loads(ended.stdout)
    return found


def test_the_hub_goes_on_meanwhile(told: dict[str, float]) -> None:
    """Hashing in the hub's own thread would leave it one tick a hash."""
    assert told["took"] > 0.05
    assert told["ticks"] > 20 * told["took"]


def test_one_at_a_time_and_some_wait(told: dict[str, object]) -> None:
    """Who comes when too many wait is told to come again."""
    assert told["answers"] == [True] * 6 + [2] * 3
    assert (told["most"], told["again"]) == (1, True)


def test_what_fails_aside_fails_here(told: dict[str, object]) -> None:
    assert told["failure"] == "raised"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_streams_go_first(told: dict[str, object]) -> None:
    assert told["niceness"] == [0, 19]


def test_without_gevent_it_is_done_at_once() -> None:
    assert Aside(at_once=1, waiting=0)(sorted, [2, 1], reverse=True) == [2, 1]


def test_a_core_is_left_to_the_hub() -> None:
    assert spare_cores() >= 1
