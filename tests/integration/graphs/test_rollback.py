"""Rollback in the checkpoint store: once or twice, in any order with a newer claim."""

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from deerflow.errors import Fenced
from deerflow.graphs.savers import Savers
from tests.integration.graphs.conftest import open_gate


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def _ask(_state: State) -> State:
    return {"log": [interrupt("ok?")]}


def _then(_state: State) -> State:
    return {"log": ["then"]}


GRAPH = (
    StateGraph(State).add_node("ask", _ask).add_node("then", _then).add_edge(START, "ask").add_edge("ask", "then")
).compile()


async def _invoke(savers: Savers, thread: UUID, token: int, run_id: UUID, given: Any) -> Any:
    saver = await savers.for_run(thread, token, open_gate(), run_id=run_id)
    config = {"configurable": {"thread_id": str(thread)}, "metadata": {"run_id": str(run_id)}}
    return await GRAPH.copy(update={"checkpointer": saver}).ainvoke(given, config)


async def _seen(savers: Savers, thread: UUID) -> list[Any]:
    config = {"configurable": {"thread_id": str(thread)}}
    return [
        (found.checkpoint["id"], found.metadata.get("run_id"), found.pending_writes)
        async for found in savers.reader().alist(config)
    ]


def test_done_twice_it_leaves_the_same(run: Callable[..., None]) -> None:
    """Its owner may die after it; the next one does it again. The third answer does not see the second."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread, first, second, third = uuid4(), uuid4(), uuid4(), uuid4()
        await _invoke(savers, thread, 1, first, {"log": ["in"]})
        before = await _seen(savers, thread)
        await _invoke(savers, thread, 2, second, Command(resume="yes"))
        assert len(await _seen(savers, thread)) > len(before)
        await savers.roll_back(thread, 2, second)
        assert await _seen(savers, thread) == before
        await savers.for_run(thread, 3, open_gate(), run_id=second)
        await savers.roll_back(thread, 3, second)
        assert await _seen(savers, thread) == before
        assert (await _invoke(savers, thread, 4, third, Command(resume="no")))["log"] == ["in", "no", "then"]

    run(body)


def test_resumed_attempt_keeps_what_the_first_one_found(run: Callable[..., None]) -> None:
    """The second attempt of a run does not take the first one's writes for those of the run before."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread, first, second = uuid4(), uuid4(), uuid4()
        await _invoke(savers, thread, 1, first, {"log": ["in"]})
        before = await _seen(savers, thread)
        head = before[0][0]
        saver = await savers.for_run(thread, 2, open_gate(), run_id=second)
        config = {"configurable": {"thread_id": str(thread), "checkpoint_ns": "", "checkpoint_id": head}}
        await saver.aput_writes(config, [("__resume__", ["yes"])], "task of attempt 1")
        await _invoke(savers, thread, 3, second, Command(resume="yes"))
        await savers.roll_back(thread, 3, second)
        assert await _seen(savers, thread) == before

    run(body)


def test_stale_owner_rolls_nothing_back(run: Callable[..., None]) -> None:
    """scenario 3: a rollback that comes late, when the next run has the thread, is refused."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread, old, new = uuid4(), uuid4(), uuid4()
        await _invoke(savers, thread, 1, old, {"log": ["in"]})
        await _invoke(savers, thread, 2, new, Command(resume="yes"))
        before = await _seen(savers, thread)
        with pytest.raises(Fenced):
            await savers.roll_back(thread, 1, old)
        assert await _seen(savers, thread) == before

    run(body)


def test_run_in_the_middle_can_be_removed(run: Callable[..., None]) -> None:
    """What a later run has stored stays."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread, old, new = uuid4(), uuid4(), uuid4()
        await _invoke(savers, thread, 1, old, {"log": ["in"]})
        await _invoke(savers, thread, 2, new, Command(resume="yes"))
        await savers.for_run(thread, 3, open_gate())
        await savers.roll_back(thread, 3, old)
        assert {run_id for _, run_id, _ in await _seen(savers, thread)} == {str(new)}

    run(body)
