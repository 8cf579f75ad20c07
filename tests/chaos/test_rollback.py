"""Rollback means that it never happened: every stored row, and all that clients see, is as it was before the run."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.conftest import status, until
from tests.conftest import wait_for
from tests.dumps import seen, stored
from tests.live import Live
from tests.traces import lines

GRAPHS = ("revocable", "revocable_stateful")


class _Files:
    """What the graph looks at."""

    def __init__(self, folder: Path) -> None:
        self.hold, self.broken, self.trace = folder / "hold", folder / "broken", folder / "trace"
        self.hold.touch()

    def given(self, **more: Any) -> dict[str, Any]:
        names = {"hold": str(self.hold), "broken": str(self.broken), "trace": str(self.trace)}
        return {**names, "ask": False, **more}

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """Runs do not stop at the held step meanwhile."""
        self.hold.unlink()
        yield
        self.hold.touch()


@pytest.fixture
def files(tmp_path: Path) -> _Files:
    return _Files(tmp_path)


def _held(live: Live, thread: str, graph: str, files: _Files, given: Any = None, **options: Any) -> dict[str, Any]:
    """A run that is under way in its third step."""
    before = len(lines(files.trace))
    run = dict(live.client().runs.create(thread, graph, input=given, **options))
    wait_for(lambda: len(lines(files.trace)) > before, what="the held step")
    return run


def _finished(live: Live, thread: str, graph: str, files: _Files, given: Any = None, **options: Any) -> Any:
    with files.let_go():
        return live.client().runs.wait(thread, graph, input=given, raise_error=False, **options)


def _roll_back(live: Live, run: dict[str, Any]) -> None:
    path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
    answer = live.http().post(f"{path}/cancel", params={"wait": 1, "action": "rollback"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert live.http().get(path).status_code == 404


@pytest.mark.parametrize("graph", GRAPHS)
def test_first_run_of_a_thread(live: Live, thread: str, files: _Files, graph: str) -> None:
    """scenario 1: nothing is left, and the next run begins at the beginning."""
    before = stored(live, thread), seen(live, thread)
    _roll_back(live, _held(live, thread, graph, files, files.given()))
    assert (stored(live, thread), seen(live, thread)) == before
    values = _finished(live, thread, graph, files, files.given())
    assert values["log"] == ["first", "unasked", "held", "last"]


@pytest.mark.parametrize(
    ("graph", "durability"), [(GRAPHS[0], "async"), (GRAPHS[1], "async"), (GRAPHS[0], "sync"), (GRAPHS[0], "exit")]
)
def test_second_run(live: Live, thread: str, files: _Files, graph: str, durability: str) -> None:
    """scenario 2: what the first run left is the newest again, whenever the second one stores its steps."""
    _finished(live, thread, graph, files, files.given())
    before = stored(live, thread), seen(live, thread)
    _roll_back(live, _held(live, thread, graph, files, files.given(), durability=durability))
    assert (stored(live, thread), seen(live, thread)) == before
    values = _finished(live, thread, graph, files, files.given())
    assert values["log"] == ["first", "unasked", "held", "last"] * 2


@pytest.mark.parametrize("graph", GRAPHS)
def test_answer_to_a_question_in_a_subgraph(live: Live, thread: str, files: _Files, graph: str) -> None:
    """The question is open again; the old answer does not leak into the next one."""
    _finished(live, thread, graph, files, files.given(ask=True))
    before = stored(live, thread), seen(live, thread)
    assert before[1]["thread"]["status"] == "interrupted"
    _roll_back(live, _held(live, thread, graph, files, command={"resume": "yes"}))
    assert (stored(live, thread), seen(live, thread)) == before
    values = _finished(live, thread, graph, files, command={"resume": "again"})
    assert values["log"] == ["first", "heard again", "held", "last"]


def test_another_try_after_an_error(live: Live, thread: str, files: _Files) -> None:
    """The failed step's error is the newest again, and can be tried once more."""
    files.broken.touch()
    _finished(live, thread, "revocable", files, files.given())
    before = stored(live, thread), seen(live, thread)
    assert before[1]["thread"]["status"] == "error"
    files.broken.unlink()
    _roll_back(live, _held(live, thread, "revocable", files))
    assert (stored(live, thread), seen(live, thread)) == before
    assert _finished(live, thread, "revocable", files)["log"] == ["first", "unasked", "held", "last"]


@pytest.mark.parametrize("graph", GRAPHS)
def test_forked_run(live: Live, thread: str, files: _Files, graph: str) -> None:
    """Of a run that starts at an older checkpoint nothing stays either, also where it answers a past question."""
    _finished(live, thread, graph, files, files.given(ask=True))
    asked = live.client().threads.get_state(thread)["checkpoint"]["checkpoint_id"]
    _finished(live, thread, graph, files, command={"resume": "first time"})
    before = stored(live, thread), seen(live, thread)
    _roll_back(live, _held(live, thread, graph, files, command={"resume": "other"}, checkpoint_id=asked))
    assert (stored(live, thread), seen(live, thread)) == before
    _roll_back(live, _held(live, thread, graph, files, files.given(), checkpoint_id=asked))
    assert (stored(live, thread), seen(live, thread)) == before


def test_asked_for_twice(live: Live, thread: str, files: _Files) -> None:
    """scenario 5: a second click, also long after the end and with another action, is answered like the first."""
    run = _held(live, thread, "revocable", files, files.given())
    _roll_back(live, run)
    path = f"/threads/{thread}/runs/{run['run_id']}"
    for action in ("rollback", "interrupt"):
        assert live.http().post(f"{path}/cancel?action={action}").status_code == 202
        assert live.http().post(f"{path}/cancel?action={action}&wait=1").status_code == 200
        assert live.http("/api").post(f"{path}/cancel?action={action}&wait=1").status_code == 204
    assert live.http().get(f"{path}/join").json()["__error__"]["error"] == "UserRollback"


def test_new_run_rolls_the_old_ones_back(live: Live, thread: str, files: _Files) -> None:
    """scenario 3, 4: strategy rollback: it starts when the old run has unwound, from the state before it."""
    old = _held(live, thread, "revocable", files, files.given())
    waiting = dict(live.client().runs.create(thread, "revocable", input=files.given()))
    given = files.given(hold="")  # the old run is held for as long as it lasts
    values = live.client().runs.wait(thread, "revocable", input=given, multitask_strategy="rollback")
    assert values["log"] == ["first", "unasked", "held", "last"]
    for gone in (old, waiting):
        assert live.http().get(f"/threads/{thread}/runs/{gone['run_id']}").status_code == 404
    assert len(live.client().runs.list(thread)) == 1
    wait_for(lambda: live.client().threads.get(thread)["status"] == "idle", what="an idle thread")
    assert live.client().threads.get(thread)["metadata"]["graph_id"] == "revocable"


def test_pending_run_leaves_nothing(live: Live, thread: str) -> None:
    """A run that has never started is deleted, its thread is as it was, and who waits for it is told."""
    before = stored(live, thread)
    run = dict(live.client().runs.create(thread, "steps", input={}, after_seconds=3600))
    _roll_back(live, run)
    assert stored(live, thread) == before
    assert (
        live.http().get(f"/threads/{thread}/runs/{run['run_id']}/join").json()["__error__"]["error"] == "UserRollback"
    )


def test_without_wait_the_thread_is_free_again(live: Live, thread: str, files: _Files) -> None:
    """scenario 60"""
    run = _held(live, thread, "revocable", files, files.given())
    path = f"/threads/{thread}/runs/{run['run_id']}"
    assert live.http().post(f"{path}/cancel?action=rollback").status_code == 202
    wait_for(lambda: live.http().get(path).status_code == 404, what="the run's end")
    assert live.client().threads.get(thread)["status"] == "idle"


@contextmanager
def _locked_checkpoints(live: Live) -> Iterator[None]:
    """Nobody can delete checkpoints meanwhile; reading goes on."""
    if live.database_url:
        with psycopg.connect(live.database_url) as postgres:
            postgres.execute("LOCK TABLE langgraph.checkpoints IN SHARE MODE")
            yield
        return
    sqlite = sqlite3.connect(live.folder / "data" / "deerflow-checkpoints.db", isolation_level=None)
    sqlite.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        sqlite.execute("ROLLBACK")
        sqlite.close()


def test_worker_killed_in_the_middle(live: Live, thread: str, files: _Files) -> None:
    """scenario 54: the owner dies in the rollback; another worker does it again; until then the thread is taken."""
    _finished(live, thread, "revocable", files, files.given(ask=True))
    before = stored(live, thread)
    run = _held(live, thread, "revocable", files, command={"resume": "yes"})
    path = f"/threads/{thread}/runs/{run['run_id']}"
    (worker,) = live.pids("worker")
    with _locked_checkpoints(live):
        assert live.http().post(f"{path}/cancel?action=rollback").status_code == 202
        queued = dict(live.client().runs.create(thread, "revocable", command={"resume": "again"}))
        live.kill("worker")
        wait_for(lambda: live.pids("worker") not in ([], [worker]), what="the next worker")
        assert status(live, run) in {"running", "pending"}
        assert status(live, queued) == "pending"
    wait_for(lambda: live.http().get(path).status_code == 404, what="the rollback")
    files.hold.unlink()
    until(live, queued, "success")
    assert live.client().threads.get_state(thread)["values"]["log"] == ["first", "heard again", "held", "last"]
    assert lines(files.trace).count("hold") == 2
    _assert_prefix(stored(live, thread), before)


def _assert_prefix(now: dict[str, list[str]], before: dict[str, list[str]]) -> None:
    """All checkpoints of before are there, unchanged."""
    for table, rows in before.items():
        if "checkpoint" in table and "writes" not in table:
            assert set(rows) <= set(now[table])
