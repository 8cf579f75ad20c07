"""The machine: clients, messages, workers and time in any order, and what must be true after each act."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from deerflow.domain.words import MultitaskStrategy
from tests.integration.runtime.clients import ACTS, ANY, Clients, act
from tests.integration.runtime.model import ModelThread, check_trace, observe
from tests.integration.runtime.workers import Worker
from tests.integration.runtime.world import World


class Machine(Clients, RuleBasedStateMachine):
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

    # What becomes of messages

    @act(8, lambda self: self._rung(), ring=ANY, worker=range(2), again=[False, True])
    def deliver(self, ring: int, worker: int, again: bool) -> None:  # noqa: FBT001
        rings = self.world.bell.rings
        if not rings:
            return
        chosen = rings[ring % len(rings)] if again else rings.pop(ring % len(rings))
        self._deliver(self.world.worker(worker), chosen)

    @act(6, lambda self: self._idle(), holds=[False, True, True])
    def ask_and_answer(self, holds: bool) -> None:  # noqa: FBT001
        """A whole question, which seldom comes about by itself, and its answer on the way."""
        which = self.threads.index(self._idle()[0])
        self.create(which, "asking", MultitaskStrategy.ENQUEUE, 1, 1)
        self._deliver(self.world.worker(), self.world.bell.rings.pop())
        self._rules_hold()
        self.answer(which, holds)
        self._deliver(self.world.worker(), self.world.bell.rings.pop())

    def _idle(self) -> list[ModelThread]:
        return [thread for thread in self.threads if not thread.inflight]

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
                    self.world.find(worker, hears_marks=True)

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
            self.world.find(chosen, hears_marks=True)

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
            self.world.freeze(chosen)
            self._bury(chosen)

    @act(3, lambda self: self._busy())
    def stall(self) -> None:
        """It is frozen until another worker is as far with its runs, then both go on side by side."""
        chosen, rings = self._busy()[0], self.world.bell.rings
        heard = len(rings)
        self.world.freeze(chosen)
        self._bury(chosen)
        self._rules_hold()
        for ring in rings[heard:]:
            self._deliver(self.world.worker(), ring)
            self._rules_hold()
        self.thaw(hears=False)

    @act(2, lambda self: self._frozen(), hears=[False, True])
    def thaw(self, hears: bool) -> None:  # noqa: FBT001
        """It goes on as if nothing had happened, and hears of its loss now or when it writes."""
        for worker in [worker for worker in self.world.workers if worker.frozen]:
            if not hears:
                self._release_held_by(worker)
            worker.thaw()
            if hears:
                worker.beat()
            self.world.find(worker, hears_marks=hears)
        for worker in self._awake():
            self.world.find(worker)  # what was released ran on elsewhere too

    def _awake(self) -> list[Worker]:
        return [worker for worker in self.world.workers if worker.alive and not worker.frozen]

    def _rung(self) -> list[Any]:
        return self.world.bell.rings

    def _revoked(self) -> list[Any]:
        return self.world.bell.revokes

    def _busy(self) -> list[Any]:
        return [worker for worker in self._awake() if worker.executing]

    def _frozen(self) -> list[Any]:
        return [worker for worker in self.world.workers if worker.frozen]

    def _held(self) -> list[Any]:
        return [run for thread in self.threads for run in thread.inflight if run.kind in ("held", "answering")]

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
        held = [each for each in self._thread(which).runs if each.kind in ("held", "answering")]
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
                self.world.find(worker, hears_marks=True)
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
