"""What clients do to threads, chosen by numbers; each act tells the model what must come of it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import pytest

from deerflow.domain.words import CancelAction, MultitaskStrategy
from deerflow.errors import BadRequest, Conflict, NotFound
from deerflow.runtime.cancel import AlreadyEnded, cancel
from deerflow.runtime.edit import edit_state
from deerflow.runtime.remove import remove_run
from tests.factories import OWNER, make_spec, submit
from tests.integration.runtime.model import ModelRun, ModelThread
from tests.integration.runtime.world import World

Act = TypeVar("Act", bound=Callable[..., None])
When = Callable[[Any], Any]
ACTS: list[tuple[str, When, dict[str, Sequence[Any]]]] = []
ANY = range(12)
"""Chooses one of what there is."""


def act(weight: int, when: When = bool, **arguments: Sequence[Any]) -> Callable[[Act], Act]:
    """Something that can happen *when* that is true; *weight*: how often, beside the others."""

    def named(happening: Act) -> Act:
        ACTS.extend([(happening.__name__, when, arguments)] * weight)
        return happening

    return named


class Clients:
    """Acts of clients on a few threads."""

    world: World
    threads: list[ModelThread]
    count: int
    """Numbers everything that is named."""

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

    @act(8, lambda self: self._asking(), which=ANY, holds=[False, True, True])
    def answer(self, which: int, holds: bool) -> None:  # noqa: FBT001
        thread = self._thread(which)
        if thread.inflight or not (asks := thread.asks):
            return
        self.count += 1
        said = f"{'hold' if holds else 'answer'}{self.count}"
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

    def _asking(self) -> list[Any]:
        return [thread for thread in self.threads if thread.asks and not thread.inflight]

    def _known(self) -> list[Any]:
        return [run for thread in self.threads for run in thread.runs]

    def _thread(self, which: int) -> ModelThread:
        return self.threads[which % len(self.threads)]
