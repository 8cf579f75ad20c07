"""What checkpoints tell of a run's steps, on both databases."""

import operator
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import Command, Send, interrupt

from deerflow.domain.steps import Step
from deerflow.graphs.savers import Savers
from deerflow.graphs.steps import steps_of
from tests.integration.graphs.conftest import open_gate


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    breaks: bool


def _node(name: str) -> Callable[[State], State]:
    return lambda _state: {"log": [name]}


def _ask(_state: State) -> State:
    return {"log": [interrupt("ok?")]}


def _last(state: State) -> State:
    if state.get("breaks"):
        raise ValueError("boom")
    return {"log": ["last"]}


builder = StateGraph(State)
builder.add_node("plan", _node("plan"))
builder.add_node("left", _node("left"))
builder.add_node("right", _node("right"))
builder.add_node("fan", _node("fan"))
builder.add_node("ask", _ask)
builder.add_node("last", _last)
builder.add_edge(START, "plan")
builder.add_conditional_edges(
    "plan", lambda _state: ["left", "right", *(Send("fan", {}) for _ in range(3))], ["left", "right", "fan"]
)
builder.add_edge("left", "ask")
builder.add_edge("ask", "last")
builder.add_edge("last", END)
GRAPH = builder.compile()

Told = list[tuple[str, bool, bool, bool, bool]]


class Thread:
    """A thread on which runs are made one after the other."""

    def __init__(self, savers: Savers) -> None:
        self.savers, self.id, self.token = savers, uuid4(), 0

    async def run(self, given: Any, **how: Any) -> UUID:
        run_id, self.token = uuid4(), self.token + 1
        saver = await self.savers.for_run(self.id, self.token, open_gate(), run_id=run_id)
        config = {"configurable": {"thread_id": str(self.id)}, "metadata": {"run_id": str(run_id)}}
        with suppress(ValueError):
            await GRAPH.copy(update={"checkpointer": saver}).ainvoke(given, config, **how)
        return run_id

    async def steps(self, run_id: UUID, most: int = 50) -> list[Step]:
        return await steps_of(GRAPH, self.savers.reader(), self.id, run_id, most=most)

    async def told(self, run_id: UUID, most: int = 50) -> Told:
        """Name, whether its beginning and its end are known, whether it failed, whether it asks."""
        return [
            (step.name, step.began_ms is not None, step.ended_ms is not None, step.failed, step.asks)
            for step in await self.steps(run_id, most)
        ]


PLAN = ("plan", True, True, False, False)
SEVERAL = ("fan × 3, left, right", True, True, False, False)  # noqa: RUF001 - as people write it
ASKS = ("ask", True, False, False, True)


def test_each_runs_own_steps(run: Callable[..., None]) -> None:
    """Nodes at once are one step; a question is open; after the answer its beginning is not known."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        first = await thread.run({"log": ["in"]})
        assert await thread.told(first) == [PLAN, SEVERAL, ASKS]
        second = await thread.run(Command(resume="yes"))
        asked, last = await thread.told(second)
        assert asked == ("ask", False, True, False, False)
        assert last == ("last", True, True, False, False)
        third = await thread.run({"log": ["again"]})
        assert await thread.told(third) == [PLAN, SEVERAL, ASKS], "it has an input of its own, and so a beginning"
        assert (await thread.told(first))[:2] == [PLAN, SEVERAL]
        assert await thread.told(uuid4()) == []

    run(body)


def test_times_go_on_from_step_to_step(run: Callable[..., None]) -> None:
    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        plan, several, asks = await thread.steps(await thread.run({"log": ["in"]}))
        assert plan.ended_ms == several.began_ms
        assert several.ended_ms == asks.began_ms
        assert (plan.began_ms or 0) <= (plan.ended_ms or 0)

    run(body)


def test_a_failure_is_told_of_its_node(run: Callable[..., None]) -> None:
    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        await thread.run({"log": ["in"], "breaks": True})
        failed = await thread.run(Command(resume="yes"))
        assert (await thread.told(failed))[-1] == ("last", True, False, True, False)

    run(body)


def test_of_many_the_last(run: Callable[..., None]) -> None:
    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        first = await thread.run({"log": ["in"]})
        assert await thread.told(first, most=1) == [SEVERAL, ASKS]

    run(body)


def test_of_large_states_few_are_held_at_once(run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told is the same as of all."""
    read: list[int | None] = []
    history = Pregel.aget_state_history

    def noted(self: Any, *args: Any, limit: int | None = None, **kwargs: Any) -> Any:
        read.append(limit)
        return history(self, *args, limit=limit, **kwargs)

    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        await thread.run({"log": ["of another run"]})
        run_id = await thread.run({"log": ["in"]})
        monkeypatch.setattr(Pregel, "aget_state_history", noted)
        monkeypatch.setattr("deerflow.graphs.steps._READ_AT_ONCE", 2)
        assert await thread.told(run_id) == [PLAN, SEVERAL, ASKS]
        assert await thread.told(run_id, most=1) == [SEVERAL, ASKS]
        assert read == [2, 2, 2, 2]

    run(body)


def test_steps_that_left_no_checkpoint_are_not_made_up(run: Callable[..., None]) -> None:
    """Two steps with one checkpoint behind them are not one."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        assert await thread.told(await thread.run({"log": ["in"]}, durability="exit")) == [ASKS]
        assert await thread.told(await thread.run(Command(resume="yes"), durability="exit")) == []

    run(body)


def test_a_question_that_is_left_open_is_no_step_of_the_next_run(run: Callable[..., None]) -> None:
    async def body(savers: Savers, _other: Savers) -> None:
        thread = Thread(savers)
        await thread.run({"log": ["in"]})
        assert await thread.told(await thread.run({"log": ["something else"]})) == [PLAN, SEVERAL, ASKS]

    run(body)
