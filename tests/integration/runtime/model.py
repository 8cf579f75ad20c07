"""What has to be true of threads and runs whatever happened to them: the rules, told without any of our code.

A run is followed from its creation to its one end. What a run does is known before: the steps of its kind, each once
in the state. How far it came is known by its end: a success did them all, a rollback none, a stopped one a first part.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from deerflow.domain.runs import INFLIGHT, Run
from deerflow.domain.words import RunStatus
from tests.integration.runtime.world import Point, World

CHECKPOINTS = {"plain": 5, "held": 5, "asking": 3, "failing": 3, "answering": 2}
"""How many a run of each kind leaves when it comes to its own end, in however many attempts."""
CRASH_LIMIT = 3


@dataclass
class ModelRun:
    """One run that was accepted."""

    run_id: UUID
    name: str
    kind: str
    words: list[str]
    """What it adds to ``done`` if it comes to its end."""
    due: bool
    cancel: str | None = None
    """The first cancel that was accepted."""
    is_deleted: bool = False
    """After its end; nobody knows of it any more."""
    lapses: int = 0
    ended: str | None = None
    attempt: int = 0
    stored: dict[int, set[str]] = field(default_factory=dict)
    """Attempt -> the steps that were stored before it; it must not do them again."""


@dataclass
class ModelThread:
    """One thread: its runs in the order of their creation, and what it is between two runs."""

    thread_id: UUID
    runs: list[ModelRun] = field(default_factory=list)
    history: list[Point] = field(default_factory=list)
    resting: str = "idle"
    row: Any = None
    """Values, interrupts and error of the thread's row; only an end or an edit changes them."""
    answers: set[str] = field(default_factory=set)
    """What was answered since the question that is open: a cancelled answer may have been kept."""

    @property
    def inflight(self) -> list[ModelRun]:
        """The runs that have not ended, oldest first."""
        return [run for run in self.runs if run.ended is None]

    @property
    def done(self) -> tuple[str, ...]:
        """What its newest checkpoint has."""
        return self.history[0].done if self.history else ()

    def added(self, done: tuple[str, ...]) -> list[str]:
        """What a run has added. An input that no step has taken in is shown, but does not outlast the next run's."""
        bases = [self.done, self.history[0].stored if self.history else ()]
        base = next((base for base in bases if done[: len(base)] == base), None)
        assert base is not None, (done, bases)
        return list(done[len(base) :])

    @property
    def asks(self) -> ModelRun | None:
        """The run whose question is open."""
        if not self.history or self.history[0].next != ("two",):
            return None
        asked = [run for run in self.runs if str(run.run_id) == self.history[0].run_id]
        return asked[0] if asked and asked[0].kind == "asking" and asked[0].ended == "success" else None


def observe(world: World, thread: ModelThread) -> None:
    """Compare a thread with its model after something has happened to it, and let the model follow."""
    rows = world.rows(thread.thread_id)
    assert sum(row.status is RunStatus.RUNNING for row in rows.values()) <= 1, "one at a time"
    assert set(rows) == {run.run_id for run in thread.runs} - _gone(thread, rows), (rows.keys(), thread.runs)
    for run in thread.runs:
        row = rows.get(run.run_id)
        if run.ended is not None:
            assert (row.status if row else "gone") == run.ended, "a run ends once"
        elif row is None:
            _went(world, thread, run)
        else:
            _follow(world, thread, run, row)
    _check_thread(world, thread)


def _gone(thread: ModelThread, rows: dict[UUID, Run]) -> set[UUID]:
    """The runs that may have no row."""
    return {
        run.run_id
        for run in thread.runs
        if run.ended == "gone" or (run.ended is None and run.cancel == "rollback" and run.run_id not in rows)
    }


def _follow(world: World, thread: ModelThread, run: ModelRun, row: Run) -> None:
    if row.attempt > run.attempt:
        ahead = [other for other in thread.inflight if other.attempt] or [
            other for other in thread.inflight if other.due
        ]
        assert ahead[0] is run, "a run that has begun, or an older one that was due, has been overtaken"
        assert row.attempt == run.attempt + 1
        run.attempt = row.attempt
    if row.status is RunStatus.PENDING and row.attempt and row.attempt + 1 not in run.stored:
        own = [point for point in world.history(thread.thread_id) if point.run_id == str(run.run_id)]
        run.stored[row.attempt + 1] = {word.split(":")[1] for word in thread.added(own[0].done)} if own else set()
    if row.status not in INFLIGHT:
        run.ended = str(row.status)
        _check_end(world, thread, run, row)


def _went(world: World, thread: ModelThread, run: ModelRun) -> None:
    """A run was rolled back: it has never been."""
    assert run.cancel == "rollback"
    run.ended = "gone"
    if not any(other.attempt for other in thread.inflight):  # it may have waited behind one that runs
        assert world.history(thread.thread_id) == thread.history
    outcome = orjson.loads(world.backend.log.outcome(run.run_id) or b"{}")
    assert outcome["__error__"]["error"] == "UserRollback"


def _check_end(world: World, thread: ModelThread, run: ModelRun, row: Run) -> None:
    if not row.attempt:
        assert (row.status, run.cancel) == (RunStatus.INTERRUPTED, "interrupt"), "it has never started"
        return
    history = world.history(thread.thread_id)
    own = [point for point in history if point.run_id == str(run.run_id)]
    others = [point.checkpoint_id for point in history if point not in own]
    assert others == [point.checkpoint_id for point in thread.history], (run, history, thread)
    after = history[0].done if history else ()
    added = thread.added(after)
    came_to_its_end = _check_status(thread, run, row, added)
    if came_to_its_end:
        assert len(own) == CHECKPOINTS[run.kind], [point.next for point in own]
    _check_log(world, run, row, after)
    failed = row.status is RunStatus.ERROR
    thread.resting = "error" if failed else "interrupted" if history and history[0].next else "idle"
    thread.history = history
    now = world.thread(thread.thread_id)
    if row.error is None or row.error["error"] != "WorkerLost":
        assert ((now.values or {}).get("done") or []) == list(after)
    assert (now.error is None) == (row.status is RunStatus.SUCCESS)
    thread.row = (now.values, now.interrupts, now.error)
    if run.kind == "asking" and came_to_its_end:
        assert row.status is RunStatus.SUCCESS
        assert world.thread(thread.thread_id).interrupts
        thread.answers.clear()


def _check_status(thread: ModelThread, run: ModelRun, row: Run, added: list[str]) -> bool:
    """Whether the run came to the end that its graph has; added: its words in the state."""
    full = run.words
    if run.kind == "answering" and added:
        assert added[0].split(":")[1] in thread.answers
        full = [added[0], *run.words[1:]]
    if row.status is RunStatus.INTERRUPTED:
        assert run.cancel == "interrupt"
        assert added == full[: len(added)]
        return False
    assert run.cancel is None, f"a cancel was accepted, and the run ended {row.status}"
    if row.error is not None and row.error["error"] == "WorkerLost":
        assert run.lapses >= CRASH_LIMIT
        assert added == full[: len(added)]
        return False
    assert row.status == ("error" if run.kind == "failing" else "success")
    assert added == full
    return True


def _check_log(world: World, run: ModelRun, row: Run, after: tuple[str, ...]) -> None:
    """Events without a hole, one beginning an attempt, and an outcome that is the state."""
    page = world.backend.log.read(run.run_id, 0)
    assert [entry.place for entry in page.entries] == list(range(1, page.end + 1))
    told = [(entry.name, orjson.loads(entry.data)) for entry in page.entries]
    attempts = [data["attempt"] for name, data in told if name == "metadata"]
    assert attempts == sorted(set(attempts))
    assert set(attempts) <= set(range(1, row.attempt + 1))
    if row.status is RunStatus.ERROR:
        return
    outcome = orjson.loads(world.backend.log.outcome(run.run_id) or b"null")
    assert outcome.get("done", []) == list(after), (outcome, after)
    if row.status is RunStatus.SUCCESS:
        values = [data for name, data in told if name == "values"]
        assert values[-1].get("done") == list(after)
        assert ("__interrupt__" in outcome) == (run.kind == "asking")


def _check_thread(world: World, thread: ModelThread) -> None:
    now = world.thread(thread.thread_id)
    assert now.status == ("busy" if thread.inflight else thread.resting)
    if thread.row is None:
        thread.row = (now.values, now.interrupts, now.error)
    assert (now.values, now.interrupts, now.error) == thread.row, "only an end or an edit changes them"
    if not any(run.attempt for run in thread.inflight):
        assert world.history(thread.thread_id) == thread.history


def check_trace(world: World, threads: list[ModelThread]) -> None:
    """No attempt does a step twice, or one that was stored before it."""
    lines = world.trace()
    known = {str(run.run_id): run for thread in threads for run in thread.runs}
    ours = [(run, int(attempt), step) for run, attempt, step in lines if run in known]
    assert len(ours) == len(set(ours)), "a step twice in one attempt"
    for run, attempt, step in ours:
        assert step not in known[run].stored.get(attempt, ()), f"{step} was stored before attempt {attempt}"
