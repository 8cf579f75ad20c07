"""Runs of the v2 protocol in real workers: as true as any other when a worker dies, lets go or is told to stop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from deerflow.backend import Backend
from deerflow.domain.runs import Run, task_id
from deerflow.domain.words import Durability, RunStatus, ThreadStatus
from deerflow.runtime.reap import bury
from deerflow.settings import Settings
from tests.conftest import wait_for
from tests.factories import make_run, row_of, set_columns, thread_of
from tests.integration.runtime.workers import Ring, Worker
from tests.traces import hold, let_go, lines

STEPS = ("one", "two", "three", "four")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that never lapse by themselves, and events that are soon too large."""
    return settings.model_copy(update={"lease_seconds": 120, "lease_beat_seconds": 40, "event_bytes": 4_096})


class Hands:
    """Workers and what they ring."""

    def __init__(self, settings: Settings) -> None:
        self.rings: list[Ring] = []
        self._settings = settings
        self._workers: list[Worker] = []

    def worker(self) -> Worker:
        """A new worker."""
        self._workers.append(Worker(self._settings, self.rings.append))
        return self._workers[-1]

    def close(self) -> None:
        """Stop all that still live."""
        for worker in self._workers:
            if worker.alive:
                worker.kill()


@pytest.fixture
def hands(settings: Settings) -> Iterator[Hands]:
    """The workers of one test."""
    made = Hands(settings)
    yield made
    made.close()


def make_v2(backend: Backend, assistant: str, given: Any = None, **fields: Any) -> Run:
    """A pending run of the v2 protocol."""
    run = make_run(backend, assistant=assistant, input=given, **fields)
    set_columns(backend, run, kwargs={**run.kwargs, "protocol": "v2"})
    return run


def begin(backend: Backend, worker: Worker, run: Run) -> None:
    """Deliver a run's newest ring."""
    worker.execute((run.run_id, task_id(run.run_id, row_of(backend, run).rings)))


def finish(backend: Backend, worker: Worker, run: Run) -> Run:
    """Wait until the worker has nothing to do."""
    wait_for(lambda: not worker.executing, what="the worker")
    assert worker.problems == []
    return row_of(backend, run)


def said(backend: Backend, run: Run) -> list[tuple[str, Any]]:
    """The log: what each entry is called and what it says, without its namespace at the root."""
    entries = backend.log.read(run.run_id, 0).entries
    return [(entry.name, orjson.loads(entry.data)) for entry in entries]


def told(backend: Backend, run: Run, method: str) -> list[Any]:
    """The data of one method's events."""
    return [data["data"] for name, data in said(backend, run) if name == f"v2:{method}"]


def traced(trace: Path) -> dict[str, Any]:
    """An input with which each step leaves a line."""
    return {"trace": str(trace), "done": []}


def test_a_killed_worker_s_run_goes_on_in_the_same_log(backend: Backend, hands: Hands, trace: Path) -> None:
    """What committed steps said is there once; the second attempt resumes from the last checkpoint."""
    hold(trace, "three")
    run = make_v2(backend, "steps", traced(trace), durability=Durability.SYNC)
    first, second = hands.worker(), hands.worker()
    begin(backend, first, run)
    wait_for(lambda: len(told(backend, run, "custom")) == 3, what="the third step to begin")
    first.kill()
    bury(backend, first.name)
    let_go(trace)
    begin(backend, second, run)
    assert finish(backend, second, run).status is RunStatus.SUCCESS
    names = [name for name, _ in said(backend, run)]
    assert names[0] == "metadata"
    assert [data["attempt"] for name, data in said(backend, run) if name == "metadata"] == [1, 2]
    assert [data["payload"]["step"] for data in told(backend, run, "custom")] == [
        "one",
        "two",
        "three",
        "three",
        "four",
    ]
    assert lines(trace) == [*STEPS]
    assert [value["done"] for value in told(backend, run, "values")][-1] == [*STEPS]
    assert {name for name in names if not name.startswith("v2:")} == {"metadata"}


def test_a_run_that_is_handed_over_says_every_step_once(backend: Backend, hands: Hands, trace: Path) -> None:
    """It stops at a checkpoint; the values of that are told before it lets go."""
    hold(trace, "two")
    run = make_v2(backend, "steps", traced(trace))
    first, second = hands.worker(), hands.worker()
    begin(backend, first, run)
    wait_for(lambda: len(told(backend, run, "custom")) == 2, what="the second step to begin")
    first.drain()
    let_go(trace)
    assert finish(backend, first, run).status is RunStatus.PENDING
    assert [value["done"] for value in told(backend, run, "values")] == [[], ["one"], ["one", "two"]]
    begin(backend, second, run)
    assert finish(backend, second, run).status is RunStatus.SUCCESS
    assert [data["payload"]["step"] for data in told(backend, run, "custom")] == [*STEPS]
    assert lines(trace) == [*STEPS]


def test_questions_answers_failures_and_cancels(backend: Backend, hands: Hands, trace: Path) -> None:
    """Rows, threads and outcomes are those of classic runs."""
    worker = hands.worker()

    asking = make_v2(backend, "asking", {"log": []})
    begin(backend, worker, asking)
    assert finish(backend, worker, asking).status is RunStatus.SUCCESS
    assert thread_of(backend, asking).status is ThreadStatus.INTERRUPTED
    assert backend.log.is_paused(asking.run_id)
    (question,) = told(backend, asking, "input.requested")
    outcome = orjson.loads(backend.log.outcome(asking.run_id) or b"")
    assert [asked["id"] for asked in outcome["__interrupt__"]] == [question["interrupt_id"]]

    answer = {"resume": {question["interrupt_id"]: "yes"}}
    answering = make_v2(backend, "asking", command=answer, thread_id=asking.thread_id)
    begin(backend, worker, answering)
    assert finish(backend, worker, answering).status is RunStatus.SUCCESS
    assert told(backend, answering, "values")[-1] == {"log": ["before", "yes"]}
    assert thread_of(backend, answering).values == {"log": ["before", "yes"]}

    failing = make_v2(backend, "faulty", {"kind": "told"})
    begin(backend, worker, failing)
    assert finish(backend, worker, failing).status is RunStatus.ERROR
    assert said(backend, failing)[-1] == ("error", {"error": "ValueError", "message": "boom happened"})

    cancelled = make_v2(backend, "steps", {**traced(trace), "pause": 30})
    begin(backend, worker, cancelled)
    wait_for(lambda: told(backend, cancelled, "custom"), what="the first step to begin")
    set_columns(backend, cancelled, cancel_action="interrupt")
    worker.revoke(task_id(cancelled.run_id, row_of(backend, cancelled).rings))
    assert finish(backend, worker, cancelled).status is RunStatus.INTERRUPTED
    assert said(backend, cancelled)[-1][0] == "v2:custom"


def test_an_event_that_is_too_large_keeps_its_namespace(backend: Backend, hands: Hands) -> None:
    """Long texts are cut out; where that is not enough the data is left out, and readers still know whose it is."""
    worker = hands.worker()
    run = make_v2(backend, "nested", {"log": ["x" * 5_000]})
    begin(backend, worker, run)
    finish(backend, worker, run)
    first = next(data for name, data in said(backend, run) if name == "v2:values")
    assert first["namespace"] == []
    assert first["data"]["log"][0].startswith("[5002 bytes left out")
    run = make_v2(backend, "nested", {"log": ["short"] * 2_000})
    begin(backend, worker, run)
    finish(backend, worker, run)
    values = [data for name, data in said(backend, run) if name == "v2:values"]
    assert [data["namespace"] == [] for data in values] == [True, False, False, True]
    assert all(list(data["data"]) == ["left_out"] for data in values)
