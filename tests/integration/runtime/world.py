"""A whole system whose messages are in the test's hands: rows, log and checkpoints are real, workers are processes."""

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.backend import Backend, WorkerBackend, open_worker
from deerflow.domain.ids import new_id
from deerflow.domain.runs import INFLIGHT, Run, task_id
from deerflow.domain.threads import Thread
from deerflow.domain.words import RunStatus
from deerflow.runtime import reap
from deerflow.runtime.answer import answer
from deerflow.runtime.ask import thread_history, thread_state
from deerflow.settings import Settings
from deerflow.storage import models, runs, threads
from tests.conftest import wait_for
from tests.factories import OWNER
from tests.integration.runtime.workers import Ring, Worker


class MachineBell:
    """Keeps what is rung until the test delivers it; questions are answered at once by a state worker of the test."""

    def __init__(self) -> None:
        self.rings: list[Ring] = []
        self.revokes: list[str] = []
        self.broken = False
        self.state: StateWorker | None = None

    def ring(self, run: Run) -> bool:
        if not self.broken:
            self.rings.append((run.run_id, task_id(run.run_id, run.rings)))
        return not self.broken

    def revoke(self, task: str) -> None:
        self.revokes.append(task)

    def ask(self, question_id: UUID, question: dict[str, Any], *, expires_seconds: float) -> None:
        assert self.state is not None
        assert str(question_id) == question["id"]
        assert expires_seconds
        self.state.answer(question)

    def waiting(self, _queue: str) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""


class StateWorker:
    """Answers questions on a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = open_worker(settings, user_code=True)
        self._backend: WorkerBackend = self._do(self._open.__aenter__())

    def answer(self, question: dict[str, Any]) -> None:
        """Answer one question; who asks finds it in Redis."""
        asyncio.run_coroutine_threadsafe(answer(self._backend, question), self._loop)

    def close(self) -> None:
        """Close what was opened."""
        self._do(self._open.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, act: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(30)


@dataclass(frozen=True)
class Point:
    """One checkpoint of a thread's history."""

    checkpoint_id: str
    run_id: str | None
    done: tuple[str, ...]
    next: tuple[str, ...]
    stored: tuple[str, ...]
    """``done`` as the checkpoint itself has it."""
    questions: int
    """How many interrupts are open there."""


@dataclass
class World:
    """Everything of one test; threads of earlier examples stay in it and rest."""

    backend: Backend
    settings: Settings
    bell: MachineBell
    folder: Path
    workers: list[Worker] = field(default_factory=list)
    dead: list[Worker] = field(default_factory=list)

    def worker(self, number: int = 0) -> Worker:
        """A worker that lives and is awake; started when there is none with that number."""
        self.workers = [worker for worker in self.workers if worker.alive or self._bury_later(worker)]
        awake = [worker for worker in self.workers if not worker.frozen]
        if number < len(awake):
            return awake[number]
        self.workers.append(Worker(self.settings, self.bell.rings.append))
        return self.workers[-1]

    def _bury_later(self, worker: Worker) -> bool:
        self.dead.append(worker)
        return False

    def freeze(self, worker: Worker) -> None:
        """Stop a worker, but not in the middle of a transaction of SQLite: its one lock would stop everybody."""
        worker.freeze()
        while self._is_locked():
            worker.thaw()
            worker.freeze()

    def _is_locked(self) -> bool:
        """Whether somebody writes to SQLite at this moment; Postgres ends by itself what stands still."""
        files = [url.removeprefix("sqlite:///") for url in (self.settings.database, self.settings.checkpoints)]
        return self.backend.db.is_sqlite and not all(map(_can_write, files))

    def find(self, worker: Worker, *, hears_marks: bool = False) -> None:
        """Wait until all that *worker* was told is done, held by a file, or died with it.

        *hears_marks*: it was told of the marks of cancels, so that what is marked is not held any more.
        """
        wait_for(lambda: not worker.alive or self._rests(worker, hears_marks), what=f"{worker.name} to rest")

    def _rests(self, worker: Worker, hears_marks: bool) -> bool:  # noqa: FBT001
        return all(self._is_held(task, hears_marks) for task in list(worker.executing))

    def _is_held(self, task: str, hears_marks: bool) -> bool:  # noqa: FBT001
        """Whether the run of a task waits for its file, with the steps before stored."""
        run_id = UUID(task.partition(".")[0])
        now = self.row(run_id)
        if now is None or now.task_id != task or (hears_marks and now.cancel_action is not None):
            return False
        step = _held_step(now)
        if step is None or self.is_released(now):
            return False
        attempts = [attempt for run, attempt, begun in self.trace() if run == str(run_id) and begun == step]
        if now.status is not RunStatus.RUNNING or str(now.attempt) not in attempts:
            return False
        return any(point.run_id == str(run_id) and point.next == (step,) for point in self.history(now.thread_id))

    def trace(self) -> list[tuple[str, str, str]]:
        """The beginnings of steps: run, attempt, step."""
        file = self.folder / "trace"
        found = file.read_text().splitlines() if file.exists() else []
        return [(run, attempt, step) for run, attempt, step in map(str.split, found)]

    def release(self, run_id: UUID) -> None:
        """Let a held run go on."""
        (self.folder / f"{run_id}.released").touch()

    def is_released(self, run: Run) -> bool:
        """Whether it may go on."""
        return (self.folder / f"{run.run_id}.released").exists()

    def bury(self, worker: Worker) -> None:
        """The clock finds out that a worker is dead, or has not been heard of for too long."""
        reap.bury(self.backend, worker.name)

    def look(self) -> None:
        """A minute later the clock looks: lapsed leases, and bells that nobody heard."""
        with self.backend.db.begin() as tx:
            tx.execute(sa.update(models.runs).where(models.runs.c.status == RunStatus.PENDING).values(rung_at=None))
        reap.reap(self.backend)

    def make_due(self, run_id: UUID) -> None:
        """The time that a delayed run waits for has come."""
        with self.backend.db.begin() as tx:
            due = models.runs.c.created_at
            tx.execute(sa.update(models.runs).where(models.runs.c.run_id == run_id).values(run_at=due))

    def row(self, run_id: UUID) -> Run | None:
        """A run as its row tells it now."""
        with self.backend.db.read() as tx:
            return runs.peek(tx, run_id)

    def rows(self, thread_id: UUID) -> dict[UUID, Run]:
        """All runs of a thread that have a row."""
        with self.backend.db.read() as tx:
            found = runs.page(tx, OWNER, thread_id, status=None, limit=1_000, offset=0)
        return {run.run_id: run for run in found}

    def inflight(self, thread_id: UUID) -> list[Run]:
        """Its runs that have not ended."""
        return [run for run in self.rows(thread_id).values() if run.status in INFLIGHT]

    def thread(self, thread_id: UUID) -> Thread:
        """A thread as its row tells it now."""
        with self.backend.db.read() as tx:
            return threads.get(tx, OWNER, thread_id)

    def make_thread(self) -> UUID:
        """A new thread."""
        with self.backend.db.begin() as tx:
            return threads.create(tx, OWNER, new_id(), {}).thread_id

    def history(self, thread_id: UUID) -> list[Point]:
        """A thread's checkpoints, newest first; that one as the state tells it, with its input taken in."""
        thread = self.thread(thread_id)
        asked: dict[str, Any] = {"limit": 1_000, "before": None, "metadata": None, "checkpoint": {}}
        points = [_point(told) for told in thread_history(self.backend, OWNER, thread, "machine", **asked)]
        if points:
            head = _point(thread_state(self.backend, OWNER, thread, "machine", checkpoint={}, subgraphs=False))
            points[0] = replace(head, stored=points[0].done)
        return points

    def close(self) -> None:
        """Stop all workers."""
        for worker in self.workers:
            if worker.frozen:
                worker.thaw()
            if worker.alive:
                worker.kill()


def _can_write(file: str) -> bool:
    try:
        with closing(sqlite3.connect(file, timeout=0.1, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def _point(told: dict[str, Any]) -> Point:
    run_id, done = (told["metadata"] or {}).get("run_id"), tuple(told["values"].get("done", ()))
    return Point(told["checkpoint_id"], run_id, done, tuple(told["next"]), done, len(told["interrupts"]))


def _held_step(run: Run) -> str | None:
    """The step in which a run waits for its file."""
    given, command = run.kwargs["input"], run.kwargs["command"]
    if command:
        return "three" if command["resume"].startswith("hold") else None
    return "two" if given["kind"] == "held" else None
