"""Clients that poll: pages of events, and a run that answers when it has changed."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import wait_for
from tests.live import Live
from tests.traces import hold, let_go, lines


@pytest.fixture
def base(live: Live) -> str:
    """A new thread's runs."""
    return f"/threads/{live.client().threads.create()['thread_id']}/runs"


def _create(live: Live, base: str, **given: object) -> str:
    body = {"assistant_id": "steps", "input": given, "stream_mode": ["values", "custom"]}
    return str(live.http().post(base, json=body).json()["run_id"])


def test_pages_hold_what_the_stream_holds(live: Live, base: str) -> None:
    """Read in pages of three, the events are those of the stream, each once, and done comes with the last."""
    run = _create(live, base)
    live.http().get(f"{base}/{run}/join")
    streamed = live.http().get(f"{base}/{run}/stream", headers={"Last-Event-ID": "-1"}).text
    after, seen, done = 0, [], False
    while not done:
        page = live.http().get(f"{base}/{run}/events", params={"after": after, "limit": 3}).json()
        seen += page["events"]
        after, done = page["next"], page["done"]
    assert page["status"] == "success"
    assert [e["id"] for e in seen] == [str(n) for n in range(1, len(seen) + 1)]
    assert [e["event"] for e in seen] == [line[7:] for line in streamed.splitlines() if line.startswith("event: ")]
    assert seen[0]["data"] == {"run_id": run, "attempt": 1}
    assert seen[0]["at"].endswith("+00:00")


def test_long_poll_gives_events_as_they_come(live: Live, base: str) -> None:
    """A waiting poll answers with the first new event, long before its time is up."""
    run = _create(live, base, pause=1.0)
    after, done, looks = 0, False, 0
    while not done:
        started = time.monotonic()
        page = live.http().get(f"{base}/{run}/events", params={"after": after, "wait": 20}).json()
        assert time.monotonic() - started < 15
        after, done, looks = page["next"], page["done"], looks + 1
    assert looks >= 4


def test_poll_of_nothing_new_waits_its_time(live: Live, base: str) -> None:
    """And says where to go on."""
    run = _create(live, base, pause=20.0)
    wait_for(lambda: live.http().get(f"{base}/{run}/events").json()["next"] >= 3, what="the first events")
    page = live.http().get(f"{base}/{run}/events", params={"after": 900, "wait": 1}).json()
    assert (page["events"], page["next"], page["done"]) == ([], 900, False)
    live.http().post(f"{base}/{run}/cancel")


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "wait=600", "wait=soon"])
def test_bad_queries_are_named(live: Live, base: str, query: str) -> None:
    """422 with the parameter's name."""
    run = _create(live, base)
    answer = live.http().get(f"{base}/{run}/events?{query}")
    assert answer.status_code == 422
    assert query.split("=", maxsplit=1)[0] in answer.json()["detail"]


def test_unchanged_run_is_304(live: Live, base: str) -> None:
    """If-None-Match with the last ETag."""
    run = _create(live, base)
    live.http().get(f"{base}/{run}/join")
    first = live.http().get(f"{base}/{run}")
    again = live.http().get(f"{base}/{run}", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    other = live.http().get(f"{base}/{run}", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


def test_prefer_wait_answers_when_the_run_changes(live: Live, base: str, trace: Path) -> None:
    """With If-None-Match at the next change, without it at the end."""
    hold(trace, "two")
    run = _create(live, base, trace=str(trace))
    wait_for(lambda: lines(trace), what="the first step")
    tag = live.http().get(f"{base}/{run}").headers["ETag"]
    with ThreadPoolExecutor() as pool:
        headers = {"Prefer": "wait=20"}
        changed = pool.submit(live.http().get, f"{base}/{run}", headers=headers | {"If-None-Match": tag})
        ended = pool.submit(live.http().get, f"{base}/{run}", headers=headers)
        let_go(trace)
        assert changed.result(25).json()["status"] == "success"
        assert ended.result(25).json()["status"] == "success"
        assert ended.result().headers["Preference-Applied"] == "wait=20"


def test_prefer_wait_gives_up_after_its_time(live: Live, base: str) -> None:
    """The run as it is, after about the time that was asked for."""
    run = _create(live, base, pause=20.0)
    started = time.monotonic()
    answer = live.http().get(f"{base}/{run}", headers={"Prefer": "wait=1"})
    assert 0.9 <= time.monotonic() - started < 10
    assert answer.json()["status"] in {"pending", "running"}
    live.http().post(f"{base}/{run}/cancel")
