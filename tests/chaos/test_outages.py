"""The database is away for a while: no run ends of it, none is charged a crash, nothing runs twice."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.conftest import until
from tests.conftest import SETUPS, live_on, wait_for
from tests.databases import Databases
from tests.live import Live
from tests.outages import SocketProxy, outage
from tests.traces import lines

REAL_LEASE = {"DEERFLOW_LEASE_SECONDS": "15", "DEERFLOW_LEASE_BEAT_SECONDS": "5", "DEERFLOW_REAP_SECONDS": "5"}


class _Server:
    """A live server whose database can be taken away."""

    def __init__(self, setup: str, databases: Databases, folder: Path, **environment: str) -> None:
        self.proxy: SocketProxy | None = None
        given: dict[str, str] = {}
        if setup == "postgres":
            (folder / "proxy").mkdir()
            self.proxy = SocketProxy(databases.empty_postgres(), folder / "proxy")
            given = {"database_url": self.proxy.database_url}
        self.live = live_on(setup, databases, folder, **given, **environment)
        self.live.start()

    def outage(self, seconds: float) -> Any:
        return outage(self.live.folder / "data", self.proxy, seconds=seconds)

    def crashes(self, run: dict[str, Any]) -> int:
        """What the run was charged."""
        query = "SELECT crashes FROM runs WHERE run_id = "
        if self.proxy is None:
            with closing(sqlite3.connect(self.live.folder / "data" / "deerflow.db")) as sqlite:
                return int(sqlite.execute(f"{query}?", (run["run_id"].replace("-", ""),)).fetchone()[0])
        with psycopg.connect(self.proxy.database_url) as postgres:
            row = postgres.execute(f"{query}%s", (run["run_id"],)).fetchone()
            assert row is not None
            return int(row[0])


@pytest.fixture
def lease() -> dict[str, str]:
    return {}


@pytest.fixture
def server(settings_of: str, lease: dict[str, str], databases: Databases, tmp_path: Path) -> Iterator[_Server]:
    made = _Server(settings_of, databases, tmp_path, **lease)
    yield made
    made.live.stop_if_running()
    if made.proxy is not None:
        made.proxy.shut_out()


def _start(live: Live, graph: str, **given: Any) -> dict[str, Any]:
    thread = live.client().threads.create()["thread_id"]
    return dict(live.client().runs.create(thread, graph, input=given))


@pytest.mark.parametrize("lease", [REAL_LEASE], ids=["lease15"])
@pytest.mark.parametrize("settings_of", SETUPS)
def test_ten_seconds_end_no_run(server: _Server, tmp_path: Path) -> None:
    """scenario 61: runs that store checkpoints, one that sleeps: all in their first attempt."""
    live, traces = server.live, [tmp_path / f"trace{number}" for number in range(4)]
    stepping = [_start(live, "steps", pause=1.0, trace=str(trace)) for trace in traces[:3]]
    sleeping = _start(live, "stubborn", kind="patient", seconds=16, trace=str(traces[3]))
    wait_for(lambda: all(lines(trace) for trace in traces), what="all runs under way")
    if server.proxy is not None:
        server.proxy.cut()  # the lease thread's connection among them
    with server.outage(10):
        pass
    for run in (*stepping, sleeping):
        until(live, run, "success")
        assert live.client().runs.get(run["thread_id"], run["run_id"])["attempt"] == 1
        assert server.crashes(run) == 0
    assert [lines(trace) for trace in traces[:3]] == [["one", "two", "three", "four"]] * 3


@pytest.mark.parametrize("settings_of", SETUPS)
def test_longer_than_a_lease_charges_nothing(server: _Server, tmp_path: Path) -> None:
    """scenario 61: leases run out, workers stop their runs and give them back; they go on where they were."""
    live, trace = server.live, tmp_path / "trace"
    run = _start(live, "steps", pause=1.0, trace=str(trace))
    wait_for(lambda: lines(trace), what="the first step")
    with server.outage(7):
        pass
    until(live, run, "success")
    assert server.crashes(run) == 0
    assert live.client().threads.get_state(run["thread_id"])["values"]["done"] == ["one", "two", "three", "four"]
