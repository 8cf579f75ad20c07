"""A machine that does anything in any order to threads, and a model of the rules that says what must come of it.

Create, cancel, answer, edit, delete; rings delivered, doubled, lost; workers killed at any point, frozen and thawed,
drained; the clock. ``DEERFLOW_TEST_EXAMPLES=500 pytest tests/integration/runtime/test_machine.py`` runs it for longer,
and then with new examples each time.
"""

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from deerflow.backend import Backend
from deerflow.domain.words import CancelAction, MultitaskStrategy
from deerflow.errors import BadRequest, Conflict, NotFound
from deerflow.runtime.cancel import AlreadyEnded, cancel
from deerflow.runtime.edit import edit_state
from deerflow.runtime.remove import remove_run
from deerflow.runtime.submit import submit
from deerflow.settings import Settings
from tests.factories import OWNER, make_spec
from tests.integration.runtime.model import CRASH_LIMIT, ModelRun, ModelThread, check_trace, observe
from tests.integration.runtime.workers import Worker
from tests.integration.runtime.world import MachineBell, StateWorker, World

PROJECT = Path(__file__).parent.parent.parent / "projects" / "machine" / "langgraph.json"
EXAMPLES = int(os.environ.get("DEERFLOW_TEST_EXAMPLES", "0"))
Act = TypeVar("Act", bound=Callable[..., None])
When = Callable[["Machine"], Any]
ACTS: list[tuple[str, When, dict[str, Sequence[Any]]]] = []
ANY = range(12)
"""Chooses one of what there is."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that never lapse by themselves: the machine decides who is dead."""
    return settings.model_copy(
        update={"config": PROJECT, "lease_seconds": 120, "lease_beat_seconds": 40, "crash_limit": CRASH_LIMIT}
    )


@pytest.fixture
def bell() -> MachineBell:
    """Messages in the machine's hands."""
    return MachineBell()


@pytest.fixture
def world(settings: Settings, backend: Backend, bell: MachineBell) -> Iterator[World]:
    """The system under test."""
    bell.state = StateWorker(settings)
    made = World(backend, settings, bell, settings.data)
    yield made
    made.close()
    bell.state.close()


def test_rules_hold_whatever_happens(world: World) -> None:
    """In any order, with deaths at any point: one at a time, in order, one end each, nothing lost, nothing twice."""

    class Bound(Machine):
        def __init__(self) -> None:
            super().__init__(world)

    asked = hypothesis_settings(
        max_examples=EXAMPLES or 20,
        stateful_step_count=30,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(Bound, settings=asked)


def act(weight: int, when: When = bool, **arguments: Sequence[Any]) -> Callable[[Act], Act]:
    """Something that can happen *when* that is true; *weight*: how often, beside the others."""

    def named(happening: Act) -> Act:
        ACTS.extend([(happening.__name__, when, arguments)] * weight)
        return happening

    return named


class Machine(RuleBasedStateMachine):
    """What can happen.

    One rule that chooses, because Hypothesis leaves out some rules in each example, and an example that creates
    nothing or delivers nothing is a wasted one. It draws numbers, because what there is to choose from depends on real
    processes, and Hypothesis wants to draw the same when it repeats an example.
    """

    @rule(act=st.integers(0, 999), numbers=st.tuples(*[st.integers(0, 59)] * 5))
    def happens(self, act: int, numbers: tuple[int, ...]) -> None:
        possible = [(name, arguments) for name, when, arguments in ACTS if when(self)]
        name, arguments = possible[act % len(possible)]
        chosen = {key: of[number % len(of)] for (key, of), number in zip(arguments.items(), numbers, strict=False)}
        self.story.append(f"{name} {chosen}")
        with self._telling():
            getattr(self, name)(**chosen)
            self._rules_hold()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Print what has happened when the rules are broken: with real processes the same may not come twice."""
        try:
            yield
        except Exception:
            self.is_broken = True
            print("\n".join([*self.story, traceback.format_exc()]))  # noqa: T201 - pytest shows it with the failure
            raise

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.threads: list[ModelThread] = []
        self.count = 0
        self.story: list[str] = []
        self.is_broken = False

    @initialize(threads=st.integers(1, 2))
    def begin(self, threads: int) -> None:
        self.threads = [ModelThread(self.world.make_thread()) for _ in range(threads)]

    # What clients do

    @act(
        5,
        which=ANY,
        kind=["plain", "held", "held", "asking", "failing"],
        strategy=[*MultitaskStrategy, MultitaskStrategy.ENQUEUE],
        delayed=range(6),
        deaf=range(5),
    )
    def create(self, which: int, kind: str, strategy: MultitaskStrategy, delayed: int, deaf: int) -> None:
        thread = self._thread(which)
        self.count += 1
        name = f"r{self.count}"
        words = [f"{name}:in", f"{name}:one", f"{name}:two", f"{name}:three"]
        words = words[:2] if kind in ("asking", "failing") else words
        given = {"done": words[:1], "name": name, "kind": kind, "folder": str(self.world.folder)}
        spec = make_spec(
            "machine", input=given, multitask_strategy=strategy, after_seconds=3_600.0 if delayed == 0 else 0.0
        )
        if strategy is MultitaskStrategy.REJECT and thread.inflight:
            with pytest.raises(Conflict):
                submit(self.world.backend, OWNER, spec, thread_id=thread.thread_id)
            return
        if strategy in (MultitaskStrategy.INTERRUPT, MultitaskStrategy.ROLLBACK):
            for run in thread.inflight:
                run.cancel = run.cancel or str(strategy)
        self._submit(thread, spec, ModelRun(UUID(int=0), name, kind, words, due=delayed != 0), is_deaf=deaf == 0)

    @act(4, lambda self: self._asking(), which=ANY)
    def answer(self, which: int) -> None:
        thread = self._thread(which)
        if thread.inflight or not (asks := thread.asks):
            return
        self.count += 1
        said = f"answer{self.count}"
        thread.answers.add(said)
        words = [f"{asks.name}:{said}", f"{asks.name}:three"]
        spec = make_spec("machine", command={"resume": said})
        self._submit(thread, spec, ModelRun(UUID(int=0), f"r{self.count}", "answering", words, due=True))

    def _submit(self, thread: ModelThread, spec: Any, run: ModelRun, *, is_deaf: bool = False) -> None:
        self.world.bell.broken = is_deaf  # the broker is away for a moment: the row counts
        run.run_id = submit(self.world.backend, OWNER, spec, thread_id=thread.thread_id).run_id
        self.world.bell.broken = False
        thread.runs.append(run)

    @act(3, lambda self: self._known(), which=ANY, run=ANY, action=[*CancelAction])
    def cancel(self, which: int, run: int, action: CancelAction) -> None:
        thread = self._thread(which)
        known = thread.runs[-4:]
        if not known:
            return
        chosen = known[run % len(known)]
        first_time = chosen.cancel
        try:
            cancel(self.world.backend, OWNER, thread.thread_id, chosen.run_id, action)
        except AlreadyEnded:
            assert chosen.ended is not None
            assert first_time is None
        except NotFound:
            assert chosen.is_deleted
        else:
            assert first_time or chosen.ended is None, "a cancel of a run that has ended by itself was accepted"
            chosen.cancel = first_time or str(action)

    @act(1, which=ANY, as_node=["one", "three"])
    def edit(self, which: int, as_node: str) -> None:
        thread = self._thread(which)
        self.count += 1
        word = f"edit{self.count}:{as_node}"
        has_graph = self.world.thread(thread.thread_id).graph_id is not None
        try:
            edit_state(
                self.world.backend, OWNER, thread.thread_id, values={"done": [word]}, as_node=as_node, checkpoint={}
            )
        except Conflict:
            assert thread.inflight
            return
        except BadRequest:
            assert not has_graph
            return
        assert has_graph
        assert not thread.inflight
        done = thread.done
        self._take_up(thread)
        assert thread.done == (*done, word)
        assert thread.history[0].next == (("two",) if as_node == "one" else ())

    @act(1, lambda self: self._known(), which=ANY, run=ANY)
    def remove(self, which: int, run: int) -> None:
        """Delete a run that does not run."""
        thread = self._thread(which)
        known = [
            each for each in thread.runs if each.ended not in (None, "gone") or (not each.ended and not each.attempt)
        ]
        if not known:
            return
        chosen = known[run % len(known)]
        if chosen.ended is not None and thread.inflight:
            with pytest.raises(Conflict):
                remove_run(self.world.backend, OWNER, thread.thread_id, chosen.run_id)
            return
        was_pending = chosen.ended is None
        if was_pending:
            chosen.cancel = chosen.cancel or "rollback"
        remove_run(self.world.backend, OWNER, thread.thread_id, chosen.run_id)
        if not was_pending:
            chosen.ended, chosen.is_deleted = "gone", True
            kept = [(p.checkpoint_id, p.done) for p in thread.history if p.run_id != str(chosen.run_id)]
            self._take_up(thread)
            assert [(p.checkpoint_id, p.done) for p in thread.history] == kept

    def _take_up(self, thread: ModelThread) -> None:
        """The thread's state was changed from outside of its runs."""
        thread.history = self.world.history(thread.thread_id)
        thread.resting = "interrupted" if thread.history and thread.history[0].next else "idle"
        now = self.world.thread(thread.thread_id)
        assert tuple((now.values or {}).get("done") or ()) == thread.done
        thread.row = (now.values, now.interrupts, now.error)
        assert now.error is None

    # What becomes of messages

    @act(8, lambda self: self._rung(), ring=ANY, worker=range(2), again=[False, True])
    def deliver(self, ring: int, worker: int, again: bool) -> None:  # noqa: FBT001
        rings = self.world.bell.rings
        if not rings:
            return
        chosen = rings[ring % len(rings)] if again else rings.pop(ring % len(rings))
        self._deliver(self.world.worker(worker), chosen)

    @act(3, lambda self: self._rung(), ring=ANY, die_at=range(1, 46))
    def deliver_and_die(self, ring: int, die_at: int) -> None:
        """The worker dies of it, at a point of its life."""
        if not self.world.bell.rings:
            return
        rings = self.world.bell.rings
        chosen, worker = rings.pop(ring % len(rings)), self.world.worker()
        worker.execute(chosen, die_at=die_at)
        self.world.find(worker)
        self._kill(worker)

    @act(1, lambda self: self._rung(), ring=ANY)
    def lose(self, ring: int) -> None:
        if self.world.bell.rings:
            self.world.bell.rings.pop(ring % len(self.world.bell.rings))

    @act(3, lambda self: self._revoked(), arrives=range(4))
    def revoke(self, arrives: int) -> None:
        """A revoke arrives, or does not."""
        revokes, self.world.bell.revokes[:] = list(self.world.bell.revokes), []
        for task in revokes if arrives else []:
            for worker in self._awake():
                if task in worker.executing:
                    worker.revoke(task)
                    self.world.find(worker)

    def _deliver(self, worker: Worker, ring: tuple[UUID, str]) -> None:
        if ring[1] in worker.executing:
            return  # the pool knows of this task already
        worker.execute(ring)
        self.world.find(worker)

    # What becomes of workers

    @act(1, lambda self: self._awake(), worker=ANY)
    def beat(self, worker: int) -> None:
        if awake := self._awake():
            chosen = awake[worker % len(awake)]
            chosen.beat()
            self.world.find(chosen)

    @act(1, lambda self: self._awake(), worker=ANY, noticed=[False, True])
    def kill(self, worker: int, noticed: bool) -> None:  # noqa: FBT001
        if awake := self._awake():
            self._kill(awake[worker % len(awake)])
        if noticed:
            self._bury_the_dead()

    @act(1, lambda self: self._awake(), worker=ANY, in_time=[False, True])
    def drain(self, worker: int, in_time: bool) -> None:  # noqa: FBT001
        """A deploy: runs let go at their next checkpoint; one that does not come to it in time is handed over."""
        if not (awake := self._awake()):
            return
        chosen = awake[worker % len(awake)]
        chosen.drain()
        if in_time:
            self._release_held_by(chosen)
            self.world.find(chosen)
        chosen.shut_down()
        for thread in self.threads:
            assert not [run for run in self.world.inflight(thread.thread_id) if run.worker == chosen.name]

    @act(1, lambda self: self._busy(), worker=ANY)
    def freeze(self, worker: int) -> None:
        """It says nothing for longer than its leases last."""
        if awake := self._awake():
            chosen = awake[worker % len(awake)]
            chosen.freeze()
            self._bury(chosen)

    @act(2, lambda self: self._frozen(), hears=[False, True])
    def thaw(self, hears: bool) -> None:  # noqa: FBT001
        """It goes on as if nothing had happened, and hears of its loss now or when it writes."""
        for worker in [worker for worker in self.world.workers if worker.frozen]:
            if not hears:
                self._release_held_by(worker)
            worker.thaw()
            worker.beat()
            self.world.find(worker)
        for worker in self._awake():
            self.world.find(worker)  # what was released ran on elsewhere too

    def _awake(self) -> list[Worker]:
        return [worker for worker in self.world.workers if worker.alive and not worker.frozen]

    def _asking(self) -> list[Any]:
        return [thread for thread in self.threads if thread.asks and not thread.inflight]

    def _known(self) -> list[Any]:
        return [run for thread in self.threads for run in thread.runs]

    def _rung(self) -> list[Any]:
        return self.world.bell.rings

    def _revoked(self) -> list[Any]:
        return self.world.bell.revokes

    def _busy(self) -> list[Any]:
        return [worker for worker in self._awake() if worker.executing]

    def _frozen(self) -> list[Any]:
        return [worker for worker in self.world.workers if worker.frozen]

    def _held(self) -> list[Any]:
        return [run for thread in self.threads for run in thread.inflight if run.kind == "held"]

    def _delayed(self) -> list[Any]:
        return [run for thread in self.threads for run in thread.inflight if not run.due]

    def _release_held_by(self, worker: Worker) -> None:
        for task in list(worker.executing):
            self.world.release(UUID(task.partition(".")[0]))

    def _kill(self, worker: Worker) -> None:
        worker.kill()
        self.world.workers.remove(worker)
        self.world.dead.append(worker)

    def _bury(self, worker: Worker) -> None:
        for thread in self.threads:
            for run in self.world.inflight(thread.thread_id):
                if run.worker == worker.name:
                    next(known for known in thread.runs if known.run_id == run.run_id).lapses += 1
        self.world.bury(worker)

    def _bury_the_dead(self) -> None:
        while self.world.dead:
            self._bury(self.world.dead.pop())

    # What time brings

    @act(2, lambda self: self._held(), which=ANY, run=ANY)
    def release(self, which: int, run: int) -> None:
        """A held run goes on."""
        held = [each for each in self._thread(which).runs if each.kind == "held"]
        if held:
            self.world.release(held[run % len(held)].run_id)
            for worker in self._awake():
                self.world.find(worker)

    @act(1, lambda self: self._delayed(), which=ANY)
    def come_due(self, which: int) -> None:
        for run in self._thread(which).inflight:
            if not run.due:
                run.due = True
                self.world.make_due(run.run_id)

    @act(2)
    def look(self) -> None:
        self._bury_the_dead()
        self.world.look()

    def _rules_hold(self) -> None:
        for thread in self.threads:
            observe(self.world, thread)
        check_trace(self.world, self.threads)
        for worker in [*self.world.workers, *self.world.dead]:
            assert not worker.problems

    def teardown(self) -> None:
        """Once rings are delivered and the clock has looked, every run comes to its end."""
        try:
            if not self.is_broken:
                self.story.append("the end")
                with self._telling():
                    self._come_to_rest()
        finally:
            with suppress(Exception):
                self._clear()

    def _come_to_rest(self) -> None:
        for thread in self.threads:
            for run in thread.runs:
                self.world.release(run.run_id)
        for worker in self._awake():
            self.world.find(worker)
        self._rules_hold()
        if any(worker.frozen for worker in self.world.workers):
            self.thaw(hears=True)
            self._rules_hold()
        for number in range(len(self.threads)):
            self.come_due(number)
        for _ in range(3 * self.count + 3):
            if not any(thread.inflight for thread in self.threads):
                break
            self.look()
            for worker in self._awake():
                worker.beat()
                self.world.find(worker)
            self._rules_hold()
            rings, self.world.bell.rings[:] = list(self.world.bell.rings), []
            for ring in rings:
                self._deliver(self.world.worker(), ring)
                self._rules_hold()
        left = [run for thread in self.threads for run in thread.inflight]
        assert not left, f"pending for ever: {left}"

    def _clear(self) -> None:
        """The next example begins with the same workers, awake and idle, or none."""
        for worker in list(self.world.workers):
            if worker.frozen:
                worker.thaw()
            if worker.executing or not worker.alive:
                worker.kill()
        self.world.workers = [worker for worker in self.world.workers if worker.alive]
        self.world.dead.clear()
        self.world.bell.rings.clear()
        self.world.bell.revokes.clear()

    def _thread(self, which: int) -> ModelThread:
        return self.threads[which % len(self.threads)]
