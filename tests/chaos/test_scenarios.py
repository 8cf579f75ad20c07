"""What broke systems like ours and needs real processes to be shown."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httpx
import psutil
import pytest

from deerflow.events.connections import connect
from tests.chaos.conftest import status, until, until_acknowledged, until_stored
from tests.conftest import SETUPS, wait_for
from tests.live import Live
from tests.traces import hold, let_go, lines


def test_forgotten_revoke_starts_nothing(live: Live, thread: str, trace: Path) -> None:
    """scenario 21: cancelled in the queue, then the worker that knew of it dies; its successor starts nothing."""
    (pid,) = cast("list[int]", wait_for(lambda: live.pids("worker"), what="the worker"))
    os.kill(pid, signal.SIGSTOP)
    run = dict(live.client().runs.create(thread, "steps", input={"trace": str(trace)}))
    live.http().post(f"/threads/{thread}/runs/{run['run_id']}/cancel")
    live.kill("worker")
    other = live.client().threads.create()["thread_id"]
    assert live.client().runs.wait(other, "steps", input={})["done"]
    assert status(live, run) == "interrupted"
    assert lines(trace) == []


def test_accepted_while_no_bell_can_ring(live: Live, thread: str, trace: Path) -> None:
    """scenario 8, 58: Redis hangs when a run is created: a success all the same; it runs once when Redis is back."""
    (valkey,) = live.pids("valkey")
    os.kill(valkey, signal.SIGSTOP)
    try:
        body = {"assistant_id": "steps", "input": {"trace": str(trace)}}
        answer = live.http().post(f"/threads/{thread}/runs", json=body)
    finally:
        os.kill(valkey, signal.SIGCONT)
    assert answer.status_code == 200, answer.text
    until(live, answer.json(), "success")
    assert [run["run_id"] for run in live.client().runs.list(thread)] == [answer.json()["run_id"]]
    assert lines(trace) == ["one", "two", "three", "four"]


@pytest.mark.parametrize("settings_of", SETUPS)
def test_workers_hear_again_after_an_outage(settings_of: str, make_server: Callable[..., Live], trace: Path) -> None:
    """scenario 55: Redis was gone; a cancel and a new run reach the worker long before its next lease beat."""
    live = make_server(settings_of, DEERFLOW_LEASE_SECONDS="300", DEERFLOW_LEASE_BEAT_SECONDS="150")
    live.start()
    thread = live.client().threads.create()["thread_id"]
    given = {"kind": "patient", "seconds": 60, "trace": str(trace)}
    run = dict(live.client().runs.create(thread, "stubborn", input=given))
    wait_for(lambda: lines(trace), what="the node's start")
    until_acknowledged(live, run["run_id"])
    (before,) = live.pids("valkey")
    live.kill("valkey")
    wait_for(lambda: live.pids("valkey") not in ([], [before]), what="the next Valkey")
    other = live.client().threads.create()["thread_id"]
    until(live, dict(live.client().runs.create(other, "steps", input={})), "success")
    assert lines(trace) == ["patient started"]
    live.client().runs.cancel(thread, run["run_id"])
    until(live, run, "interrupted")
    assert lines(trace) == ["patient started", "patient cancelled"]


def test_nobody_has_to_listen(live: Live, thread: str) -> None:
    """scenario 24: a run with many tokens comes to its end although ten readers never read."""
    config = {"configurable": {"words": 3_000}}
    run = dict(
        live.client().runs.create(thread, "chat", input={"messages": []}, config=config, stream_mode="messages-tuple")
    )
    path = f"/threads/{thread}/runs/{run['run_id']}/stream"
    deaf = [live.send("GET", path, Last_Event_ID="-1") for _ in range(10)]
    until(live, run, "success")
    for connection in deaf:
        connection.close()


def test_half_an_answer_is_no_answer(live: Live, thread: str) -> None:
    """scenario 31: a wait that is cut before its end has sent no JSON, and its Location answers the whole."""
    body = {"assistant_id": "steps", "input": {"pause": 2.0}, "on_disconnect": "continue"}
    with live.send("POST", f"/threads/{thread}/runs/wait", body) as connection:
        received = b""
        while not received.endswith(b"1\r\n\n\r\n"):  # the headers, then one chunk with the first sign of life
            received += connection.recv(1)
    head, _, rest = received.partition(b"\r\n\r\n")
    with pytest.raises(json.JSONDecodeError):
        json.loads(rest.split(b"\r\n")[1])
    location = next(line for line in head.decode().splitlines() if line.lower().startswith("location: "))
    whole = live.http().get(location.split(": ", 1)[1], timeout=60).json()
    assert whole["done"] == ["one", "two", "three", "four"]


def test_deploy_cancels_nothing(live: Live, thread: str, trace: Path) -> None:
    """A web process that is told to stop closes its streams; runs whose creator wanted a cancel on disconnect go on."""
    body = {"assistant_id": "steps", "input": {"trace": str(trace)}, "on_disconnect": "cancel"}
    hold(trace, "two")
    with live.send("POST", f"/threads/{thread}/runs/stream", body) as connection:
        until_stored(live, thread, "two")
        run = dict(live.client().runs.list(thread)[0])
        parents = set(live.pids("web"))
        (parent,) = (pid for pid in parents if psutil.Process(pid).ppid() not in parents)
        os.kill(parent, signal.SIGTERM)
        while connection.recv(65_536):
            pass
    wait_for(lambda: not parents & set(live.pids("web")), what="the end of the web process")
    wait_for(lambda: _answers(live), what="the next web process")
    let_go(trace)
    until(live, run, "success")
    assert lines(trace) == ["one", "two", "three", "four"]


def _answers(live: Live) -> bool:
    try:
        return live.http().get("/ok", timeout=2).is_success
    except httpx.TransportError:
        return False


def test_waiting_costs_nothing(live: Live) -> None:
    """scenario 62: idle workers wait for the bell; what they ask Redis in a while is a handful, not a poll of slots."""
    client = connect(f"unix://{live.folder / 'data' / 'valkey.sock'}")
    before = client.info("stats")["total_commands_processed"]
    seconds = 3  # below the client's own time-out
    wait_for(lambda: client.blpop(["df:test:nothing"], timeout=seconds) is None, what="a while")
    asked = client.info("stats")["total_commands_processed"] - before
    client.close()
    assert asked < 60 * seconds, f"{asked} commands in {seconds} s for 50 free slots"
