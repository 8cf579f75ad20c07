"""Copies of a thread's checkpoints, and pruning them: what is left is whole, and goes on as before."""

import operator
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Any, TypedDict
from uuid import UUID, uuid4

import psycopg
import pytest
from langgraph.channels import DeltaChannel
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from deerflow.errors import Fenced
from deerflow.graphs.savers import Savers
from deerflow.settings import Settings
from tests.integration.graphs.conftest import open_gate

TABLES = {
    "sqlite": ("checkpoints", "writes", "kept_heads", "kept_writes"),
    "postgresql": ("checkpoints", "checkpoint_writes", "checkpoint_blobs", "kept_heads", "kept_writes"),
}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def _inside(_state: State) -> State:
    return {"log": ["inside"]}


def _ask(_state: State) -> State:
    return {"log": [interrupt("ok?")]}


def _then(_state: State) -> State:
    return {"log": ["then"]}


CHILD = (
    StateGraph(State).add_node("inside", _inside).add_node("ask", _ask)
    .add_edge(START, "inside").add_edge("inside", "ask").compile()
)  # fmt: skip
GRAPH = (
    StateGraph(State).add_node("child", CHILD).add_node("then", _then)
    .add_edge(START, "child").add_edge("child", "then").compile()
)  # fmt: skip


class Deltas(TypedDict):
    log: Annotated[list[str], DeltaChannel(lambda old, new: [*(old or []), *(each for one in new for each in one)])]


def _add(_state: Deltas) -> Any:
    return {"log": ["then"]}


DELTAS = StateGraph(Deltas).add_node("add", _add).add_edge(START, "add").compile()


async def _invoke(savers: Savers, thread: UUID, token: int, given: Any, graph: Any = GRAPH) -> Any:
    run_id = uuid4()
    saver = await savers.for_run(thread, token, open_gate(), run_id=run_id)
    config = {"configurable": {"thread_id": str(thread)}, "metadata": {"run_id": str(run_id)}}
    await graph.copy(update={"checkpointer": saver}).ainvoke(given, config)
    return run_id


async def _asked(savers: Savers) -> UUID:
    """A thread that has gone through the graph once, and waits for an answer inside of it."""
    thread = uuid4()
    await _invoke(savers, thread, 1, {"log": ["one"]})
    await _invoke(savers, thread, 2, Command(resume="yes"))
    await _invoke(savers, thread, 3, {"log": ["two"]})
    return thread


async def _state(savers: Savers, thread: UUID) -> Any:
    graph = GRAPH.copy(update={"checkpointer": savers.reader()})
    return await graph.aget_state({"configurable": {"thread_id": str(thread)}}, subgraphs=True)


async def _seen(savers: Savers, thread: UUID) -> list[Any]:
    """All checkpoints of a thread, of every namespace."""
    found = [each async for each in savers.reader().alist({"configurable": {"thread_id": str(thread)}})]
    for each in found:
        assert each.config["configurable"]["thread_id"] == str(thread)
    return [
        (
            each.config["configurable"]["checkpoint_ns"],
            each.checkpoint["id"],
            each.parent_config and each.parent_config["configurable"]["checkpoint_id"],
            each.checkpoint["channel_values"],
            sorted(each.pending_writes or [], key=str),
        )
        for each in found
    ]


def rows(settings: Settings, thread: UUID) -> dict[str, int]:
    """How many rows each table of the checkpoint store has for a thread."""
    kind = settings.checkpoints.partition(":")[0]
    count = "SELECT count(*) FROM {} WHERE thread_id = '" + str(thread) + "'"
    if kind == "sqlite":
        with closing(sqlite3.connect(settings.checkpoints.removeprefix("sqlite:///"))) as file:
            return {t: file.execute(count.format(t)).fetchone()[0] for t in TABLES[kind]}
    with psycopg.connect(settings.checkpoints, options="-c search_path=langgraph") as postgres:
        return {t: postgres.execute(count.format(t)).fetchone()[0] for t in TABLES[kind]}  # type: ignore[index]


def test_a_copy_is_the_same_and_goes_its_own_way(run: Callable[..., None]) -> None:
    """Checkpoints of every namespace with their writes, and the open question; neither changes the other."""

    async def body(savers: Savers, _other: Savers) -> None:
        source, copy = await _asked(savers), uuid4()
        before = await _seen(savers, source)
        assert {namespace.partition(":")[0] for namespace, *_ in before} == {"", "child"}
        await savers.copy_thread(source, copy, 7)
        assert await _seen(savers, copy) == before
        await savers.copy_thread(source, copy, 7)
        assert await _seen(savers, copy) == before, "done again it is the same"
        await _invoke(savers, copy, 8, Command(resume="no"))
        log = (await _state(savers, copy)).values["log"]
        assert log[-3:] == ["inside", "no", "then"]
        assert await _seen(savers, source) == before

    run(body)


def test_a_run_on_a_copy_is_rolled_back(run: Callable[..., None]) -> None:
    """It wrote onto a checkpoint that came with the copy."""

    async def body(savers: Savers, _other: Savers) -> None:
        source, copy = await _asked(savers), uuid4()
        await savers.copy_thread(source, copy, 1)
        before = await _seen(savers, copy)
        run_id = await _invoke(savers, copy, 2, Command(resume="no"))
        assert await _seen(savers, copy) != before
        await savers.roll_back(copy, 2, run_id)
        assert await _seen(savers, copy) == before

    run(body)


def test_a_copy_that_comes_too_late_stores_nothing(run: Callable[..., None]) -> None:
    """The clock has given it up and cleaned up behind it."""

    async def body(savers: Savers, other: Savers) -> None:
        source, copy = await _asked(savers), uuid4()
        await other.remove_thread(copy, 8)
        with pytest.raises(Fenced):
            await savers.copy_thread(source, copy, 7)
        assert await _seen(savers, copy) == []

    run(body)


def test_a_pruned_thread_goes_on_as_before(run: Callable[..., None], settings: Settings) -> None:
    """What is left is the newest checkpoint of each namespace that is still needed, with the open question."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread = await _asked(savers)
        before, all_rows = await _state(savers, thread), rows(settings, thread)
        assert await savers.prune_thread(thread, 4)
        after = await _state(savers, thread)
        assert (after.values, after.next, after.interrupts) == (before.values, before.next, before.interrupts)
        assert after.tasks[0].state.values == before.tasks[0].state.values
        assert after.parent_config is None
        left = await _seen(savers, thread)
        assert [namespace.partition(":")[0] for namespace, *_ in left].count("") == 1
        assert len(left) == 2, "the root graph's, and that of the call that waits"
        kept = rows(settings, thread)
        assert all(kept[table] < all_rows[table] for table in TABLES[settings.checkpoints.partition(":")[0]][:2])
        assert kept.get("checkpoint_blobs", 0) < all_rows.get("checkpoint_blobs", 1)
        await _invoke(savers, thread, 5, Command(resume="no"))
        assert (await _state(savers, thread)).values["log"][-3:] == ["inside", "no", "then"]

    run(body)


def test_what_a_rollback_would_put_back_goes_with_its_checkpoint(run: Callable[..., None], settings: Settings) -> None:
    """Otherwise writes without a checkpoint would stay behind for ever."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread = uuid4()
        await _invoke(savers, thread, 1, {"log": ["one"]})
        run_id = await _invoke(savers, thread, 2, Command(resume="yes"))
        assert rows(settings, thread)["kept_writes"] > 0
        await savers.prune_thread(thread, 3)
        assert rows(settings, thread)["kept_heads"] == rows(settings, thread)["kept_writes"] == 0
        await savers.for_run(thread, 4, open_gate(), run_id=run_id)
        await savers.roll_back(thread, 4, run_id)
        assert all(count == 0 for count in rows(settings, thread).values())

    run(body)


def test_a_prune_behind_a_claim_removes_nothing(run: Callable[..., None]) -> None:
    """scenario 11: a run has begun meanwhile, and may need what is old."""

    async def body(savers: Savers, other: Savers) -> None:
        thread = await _asked(savers)
        before = await _seen(savers, thread)
        await other.for_run(thread, 9, open_gate())
        with pytest.raises(Fenced):
            await savers.prune_thread(thread, 8)
        assert await _seen(savers, thread) == before

    run(body)


def test_a_thread_that_is_made_of_its_past_keeps_it(run: Callable[..., None]) -> None:
    """A DeltaChannel's newest value is the sum of older checkpoints' writes."""

    async def body(savers: Savers, _other: Savers) -> None:
        thread = uuid4()
        for token in (1, 2):
            await _invoke(savers, thread, token, {"log": ["in"]}, DELTAS)
        before = await _seen(savers, thread)
        assert not await savers.prune_thread(thread, 3)
        assert await _seen(savers, thread) == before
        copy = uuid4()
        await savers.copy_thread(thread, copy, 1)
        graph = DELTAS.copy(update={"checkpointer": savers.reader()})
        state = await graph.aget_state({"configurable": {"thread_id": str(copy)}})
        assert state.values["log"] == ["in", "then", "in", "then"]

    run(body)
