"""The start command, as a person uses it."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from deerflow.cli.__main__ import main
from tests.chaos.conftest import until, until_stored
from tests.conftest import GRAPHS, SETUPS, wait_for
from tests.databases import Databases
from tests.live import ROOT, Live, free_port
from tests.traces import hold, let_go, lines


def _serve(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a start that is expected to end by itself."""
    command = [sys.executable, "-m", "deerflow.cli", "serve", *options]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "REDIS_URL": "", "DATABASE_URL": "", "DEERFLOW_AUTH": "none", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("settings_of", SETUPS)
def test_everything_is_found_again(settings_of: str, make_server: Callable[..., Live], trace: Path) -> None:
    """Stop and start: all that was stored is there, a run under way goes on, a delayed one starts when it is due."""
    live = make_server(settings_of)
    live.start()
    client = live.client()
    done, going, later = (client.threads.create()["thread_id"] for _ in range(3))
    finished = dict(client.runs.create(done, "steps", input={}))
    until(live, finished, "success")
    hold(trace, "two")
    running = dict(client.runs.create(going, "steps", input={"trace": str(trace), "pause": 1.0}))
    delay, by_then = 6, trace.with_name("delayed")
    asked_at = time.time()
    delayed = dict(client.runs.create(later, "steps", input={"trace": str(by_then)}, after_seconds=delay))
    until_stored(live, going, "two")
    let_go(trace)
    assert live.stop() < 30
    live.start()
    until(live, running, "success")
    until(live, delayed, "success")
    assert by_then.stat().st_ctime >= asked_at + delay
    assert lines(by_then) == ["one", "two", "three", "four"]
    assert lines(trace) == ["one", "two", "three", "four"]
    assert live.client().runs.get(done, finished["run_id"])["status"] == "success"
    assert live.client().threads.get_state(done)["values"]["done"] == ["one", "two", "three", "four"]
    path = f"/threads/{going}/runs/{running['run_id']}/stream"
    replay = live.http().get(path, headers={"Last-Event-ID": "-1"}).text
    assert [int(line[4:]) for line in replay.splitlines() if line.startswith("id: ")] == list(
        range(1, replay.count("id: ") + 1)
    )


def test_stop_ends_all_that_was_started(make_server: Callable[..., Live], trace: Path) -> None:
    """Ctrl-C with a run in the middle of a long node: within 30 s nothing of it runs any more."""
    live = make_server("sqlite")
    live.start()
    thread = live.client().threads.create()["thread_id"]
    live.client().runs.create(thread, "stubborn", input={"kind": "in_thread", "seconds": 40, "trace": str(trace)})
    wait_for(lambda: lines(trace), what="the node's start")
    pids = [pid for kind in ("worker", "state", "clock", "web", "valkey") for pid in live.pids(kind)]
    assert len(pids) >= 6, "five kinds, and gunicorn is two"
    assert live.stop() < 30
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_killed_supervisor_leaves_no_orphans(make_server: Callable[..., Live]) -> None:
    """kill -9 of serve itself: what it had started ends too, and the next start works."""
    live = make_server("sqlite")
    live.start()
    pids = [pid for kind in ("worker", "state", "clock", "web", "valkey") for pid in live.pids(kind)]
    live.kill_supervisor()
    wait_for(lambda: not [pid for pid in pids if _runs(pid)], what="the end of all")
    live.start()
    assert live.client().assistants.search()


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_second_server_on_the_same_data_is_refused(make_server: Callable[..., Live]) -> None:
    """It says so in one sentence, and the first one does not notice."""
    live = make_server("sqlite")
    live.start()
    second = _serve("--data", str(live.folder / "data"), "--port", str(free_port()), "--config", str(GRAPHS))
    assert second.returncode == 1
    assert "Another server uses the data folder" in second.stderr
    assert live.http().get("/ok").is_success


def test_data_folder_is_private(make_server: Callable[..., Live]) -> None:
    """Nobody but its owner can look into the data folder or reach the embedded Valkey."""
    live = make_server("sqlite")
    live.start()
    data = live.folder / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "valkey.sock").stat().st_mode) == 0o700
    listening = [c.laddr.port for pid in live.pids("valkey") for c in psutil.Process(pid).net_connections("inet")]
    assert listening == []


def test_long_data_path(tmp_path: Path) -> None:
    """A path that is too long for a socket's name works all the same."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    live = Live(folder, GRAPHS)
    live.start()
    try:
        assert live.client().assistants.search()
        assert f"pages     {live.url}/console/" in live.log.read_text(), "also without accounts"
    finally:
        live.stop()


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        (["--config", "/nowhere/langgraph.json"], {}, "/nowhere/langgraph.json: No such file or directory"),
        (["--host", "0.0.0.0"], {}, "Without authentication the server listens on this machine only"),
        (["--port", "1"], {"DEERFLOW_LEASE_SECONDS": "soon"}, "lease_seconds"),
        ([], {"DATABASE_URL": "mysql://x"}, "must start with postgresql://"),
        ([], {"REDIS_URL": "http://x"}, "must start with redis://"),
        ([], {"DEERFLOW_AUTH": "accounts", "DATABASE_URL": "postgresql://x"}, "the server needs DEERFLOW_SECRET"),
        ([], {"DEERFLOW_AUTH": "accounts", "DEERFLOW_SECRET": "short"}, "must have at least 32 characters"),
    ],
)
def test_wrong_settings_stop_the_start(
    options: list[str], environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    """One sentence that names what is wrong, exit code 1, no stack."""
    ended = _serve("--data", str(tmp_path / "data"), *options, **environment)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_taken_port_is_named(live: Live, tmp_path: Path) -> None:
    """Somebody listens there already."""
    ended = _serve("--data", str(tmp_path / "data"), "--port", str(live.port), "--config", str(GRAPHS))
    assert ended.returncode == 1
    told = f"Cannot listen on 127.0.0.1:{live.port}: Address already in use. Choose another with --port."
    assert ended.stderr == f"Error: {told}\n"


def test_broken_graph_stops_the_start(tmp_path: Path) -> None:
    """The first import fails: serve ends, and what it says names the module."""
    (tmp_path / "langgraph.json").write_text('{"graphs": {"a": "./broken.py:graph"}}')
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    config = str(tmp_path / "langgraph.json")
    ended = _serve("--data", str(tmp_path / "data"), "--port", str(free_port()), "--config", config)
    assert ended.returncode == 1
    assert "a_module_that_is_not_there" in ended.stderr
    assert "The worker cannot start: Graph 'a' (./broken.py:graph): ModuleNotFoundError: No module" in ended.stderr
    assert "deerflow.errors" not in ended.stderr, "a stack of ours would hide the project's"
    assert "process did not start" in ended.stderr


def test_unreachable_parts_are_named(tmp_path: Path) -> None:
    """A database or Redis that does not answer ends the start with its address and a reason, without its password."""
    options = ["--data", str(tmp_path / "data"), "--port", str(free_port())]
    database = _serve(*options, DATABASE_URL="postgresql://me:hidden@127.0.0.1:1/x")
    assert database.returncode == 1
    assert "The database does not answer" in database.stderr
    redis = _serve(*options, REDIS_URL="redis://:hidden@127.0.0.1:1")
    assert redis.returncode == 1
    assert "Redis at 127.0.0.1:1 does not answer" in redis.stderr
    for ended in (database, redis):
        assert "hidden" not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def test_data_of_a_newer_release_is_refused(databases: Databases, tmp_path: Path) -> None:
    """Its schema is not known here: one sentence, and nothing is touched."""
    url = databases.fresh("sqlite", tmp_path)
    with sqlite3.connect(tmp_path / "deerflow.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ended = _serve("--data", str(tmp_path), "--port", str(free_port()), DATABASE_URL=url)
    assert ended.returncode == 1
    assert "written by a newer release" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_unusable_data_folder_is_named(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").touch()
    ended = _serve("--data", str(tmp_path / "file" / "data"), "--port", str(free_port()))
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr


def test_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With next to no room left the start ends before anything is half written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(1 << 30, 1 << 30, 3 << 20))
    ended = CliRunner().invoke(main, ["serve", "--data", str(tmp_path), "--port", str(free_port())])
    assert ended.exit_code == 1
    assert f"The disk of the data folder {tmp_path} has 3 MiB left" in ended.output
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_reload_takes_up_a_change(tmp_path: Path) -> None:
    """With --reload a changed graph is served a moment later; the web process stays, and so do its clients."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "langgraph.json").write_text('{"graphs": {"a": "./a.py:graph"}}')
    (project / "a.py").write_text(_RELOADED.format(word="before"))
    live = Live(tmp_path, project / "langgraph.json", options=["--reload", "--workers", "2"])
    live.start()
    try:
        web = live.pids("web")
        assert len(live.pids("worker")) == 2
        thread = live.client().threads.create()["thread_id"]
        assert live.client().runs.wait(thread, "a", input={})["word"] == "before"
        (project / "a.py").write_text(_RELOADED.format(word="after"))
        wait_for(lambda: live.client().runs.wait(thread, "a", input={})["word"] == "after", what="the new word")
        assert live.pids("web") == web
    finally:
        live.stop()


_RELOADED = """
from typing import TypedDict
from langgraph.graph import START, StateGraph

class State(TypedDict, total=False):
    word: str

graph = StateGraph(State).add_node("say", lambda state: {{"word": "{word}"}}).add_edge(START, "say").compile()
"""


def test_help_helps() -> None:
    """Every option with its default."""
    shown = _serve("--help").stdout
    for word in ("--port", "8123", "--host", "127.0.0.1", "--config", "--data", ".deerflow"):
        assert word in shown
