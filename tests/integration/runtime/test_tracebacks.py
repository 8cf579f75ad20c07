"""Where in the code a run failed is kept with it, for administrators; nothing else tells of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from deerflow.api.mounts import MOUNTS
from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Run, task_id
from deerflow.domain.words import RunStatus, ThreadStatus
from deerflow.runtime.reap import reap
from deerflow.settings import Settings
from deerflow.storage import leases, runs, threads, webhooks
from tests.conftest import wait_for
from tests.factories import (
    LOCAL_USER,
    OWNER,
    TEAM_MATE,
    claim_run,
    finish_run,
    make_app,
    make_run,
    make_running,
    row_of,
    set_columns,
    thread_of,
)
from tests.integration.runtime.workers import Worker

HOOK = "https://example.org/hook"
SECRET = "a secret connection string"  # of the graph ``faulty``; clients are not told the text of its error
TRACES = ("Traceback", "faulty.py", SECRET)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that last: nobody tells the worker to renew them."""
    return settings.model_copy(update={"lease_seconds": 120, "lease_beat_seconds": 40})


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    """A real worker."""
    worker = Worker(settings, lambda _ring: None)
    yield worker
    worker.kill()


def done(backend: Backend, worker: Worker, run: Run) -> Run:
    """Let the worker do all of a run."""
    worker.execute((run.run_id, task_id(run.run_id, run.rings)))
    wait_for(lambda: not worker.executing, what="the run's end")
    assert worker.problems == []
    return row_of(backend, run)


def traceback_of(backend: Backend, run: Run, principal: Principal = OWNER) -> str | None:
    with backend.db.read() as tx:
        return runs.find_traceback(tx, principal, run.run_id)


def test_a_failure_is_kept_and_told_by_nothing_that_clients_read(
    settings: Settings, backend: Backend, worker: Worker
) -> None:
    """Neither by the run, its lists and its thread, nor by its log, its outcome and its webhook, on either mount."""
    run = make_run(backend, LOCAL_USER, assistant="faulty", input={"kind": "untold"}, webhook=HOOK)
    assert done(backend, worker, run).status is RunStatus.ERROR
    traceback = traceback_of(backend, run, LOCAL_USER) or ""
    assert all(trace in traceback for trace in TRACES)
    assert "faulty.py" in traceback.splitlines()[1], "and it begins with the graph's own code"

    client = make_app(settings, backend).test_client()
    own = f"/threads/{run.thread_id}/runs/{run.run_id}"
    asked = [f"/threads/{run.thread_id}", f"/threads/{run.thread_id}/runs", own, f"{own}/events?after=0"]
    asked += [f"{own}/join?format=json", f"{own}/stream"]
    whole = {"Last-Event-ID": "-1"}
    told = [client.get(mount.prefix + path, headers=whole).text for mount in MOUNTS for path in asked]
    told += [client.post(f"{mount.prefix}/threads/search", json={}).text for mount in MOUNTS]
    with backend.db.read() as tx:
        told += [
            orjson.dumps(webhooks.get(tx, each.webhook_id)[1]).decode()
            for each in webhooks.page(tx, state=None, limit=9)
        ]
    assert [each for each in told if "OurOwnError" not in each and str(run.thread_id) not in each] == [], "all answer"
    assert [(trace, each) for trace in TRACES for each in told if trace in each] == []


@pytest.mark.parametrize(("kind", "message"), [("abrupt", "An internal error occurred"), ("unfit", "half a ?")])
def test_a_run_ends_whatever_its_graph_raises(backend: Backend, worker: Worker, kind: str, message: str) -> None:
    """No Exception at all, and one whose text no database takes."""
    run = done(backend, worker, make_run(backend, LOCAL_USER, assistant="faulty", input={"kind": kind}))
    assert (run.status, (run.error or {})["message"]) == (RunStatus.ERROR, message)
    assert "faulty.py" in (traceback_of(backend, run, LOCAL_USER) or "")


@pytest.mark.parametrize(("how", "error"), [("quitting", "SystemExit"), ("cancelling", "RuntimeError")])
def test_a_run_ends_when_its_factory_gives_up(backend: Backend, worker: Worker, how: str, error: str) -> None:
    """It wants to end the process, or lets a cancel out that nobody asked for, as a client of MCP servers can."""
    asked = {"configurable": {"gives_up": how}}
    run = done(backend, worker, make_run(backend, LOCAL_USER, assistant="slow_to_open", config=asked))
    assert (run.status, (run.error or {})["error"]) == (RunStatus.ERROR, error)
    assert "slow_to_open.py" in (traceback_of(backend, run, LOCAL_USER) or "")


@pytest.mark.parametrize("graph", ["stubborn", "patient_inside"])
@pytest.mark.parametrize("modes", [["values"], ["messages-tuple"], ["events"], "v2"])
def test_a_run_ends_when_its_graph_closes_whoever_waits_for_it(
    backend: Backend, worker: Worker, graph: str, modes: Any
) -> None:
    """A GeneratorExit of a node, of a node in a thread, and of either in a subgraph: each fails, and says so once."""
    for kind in ("closing_itself", "closing_itself_in_thread"):
        run = make_run(backend, LOCAL_USER, assistant=graph, input={"kind": kind})
        how = {"protocol": "v2"} if modes == "v2" else {"stream_mode": modes}
        set_columns(backend, run, kwargs={**run.kwargs, **how})
        assert done(backend, worker, run).status is RunStatus.ERROR
        assert thread_of(backend, run, LOCAL_USER).status is ThreadStatus.ERROR
        told = [entry.frame.split(b"\r\n")[0] for entry in backend.log.read(run.run_id, 0).entries]
        assert told.index(b"event: error") == len(told) - 1


def test_what_raised_nothing_has_none(backend: Backend, worker: Worker) -> None:
    """A run that succeeds, and one whose time is up."""
    assert done(backend, worker, good := make_run(backend, input={"done": []})).status is RunStatus.SUCCESS
    late = make_run(backend, input={"pause": 30})
    set_columns(backend, late, started_at=datetime.now(UTC) - timedelta(days=2))
    assert done(backend, worker, late).status is RunStatus.TIMEOUT
    assert [traceback_of(backend, run) for run in (good, late)] == [None, None]


def test_a_run_whose_workers_were_lost_has_none(backend: Backend) -> None:
    run = make_running(backend)
    set_columns(backend, run, lease_until=datetime.now(UTC) - timedelta(1), crashes=backend.rules.crash_limit)
    reap(backend)
    assert row_of(backend, run).status is RunStatus.ERROR
    assert traceback_of(backend, run) is None


def test_only_who_sees_the_run_sees_it_and_it_goes_with_the_run(backend: Backend) -> None:
    run = make_running(backend)
    assert finish_run(backend, run, status=RunStatus.ERROR, traceback="\U0001f98c\n" * 8_000)
    assert traceback_of(backend, run) == "\U0001f98c\n" * 8_000
    assert traceback_of(backend, run, TEAM_MATE) is None
    with backend.db.begin() as tx:
        threads.delete(tx, OWNER, run.thread_id)
    assert traceback_of(backend, run) is None


def test_the_attempt_that_ends_the_run_has_the_last_word(backend: Backend) -> None:
    """One that is over leaves none, and a good end takes an older one away."""
    first = make_running(backend)
    with backend.db.begin() as tx:
        assert leases.release(tx, first, events_upto=0)
    assert not finish_run(backend, first, status=RunStatus.ERROR, traceback="of an attempt that is over")
    assert traceback_of(backend, first) is None
    second = claim_run(backend, first)
    assert second is not None
    set_columns(backend, second, traceback="of an attempt before")
    assert finish_run(backend, second)
    assert traceback_of(backend, second) is None
