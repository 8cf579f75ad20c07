"""Steps: what the nodes of a graph did and how long it took, as far as a run's checkpoints tell.

A checkpoint names the nodes that come next, and the one after it is written when they have all ended: a step took the
time between the two. Of a run that writes its last checkpoint only (durability ``exit``) there is little to tell.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.constants import START
from langgraph.types import PregelTask, StateSnapshot

from deerflow.domain.steps import Step
from deerflow.graphs.registry import Graph

_READ_AT_ONCE = 5
"""Each of these states may be many MB."""


async def steps_of(
    graph: Graph, saver: BaseCheckpointSaver[Any], thread_id: UUID, run_id: UUID, *, most: int
) -> list[Step]:
    """The last steps of a run, *most* of them, oldest first; behind them the one that has not ended, if there is one.

    A step has the names of all its nodes. When it began is not told where the run goes on from another one's
    checkpoint, as it does with an answer: between the two a person has thought.
    """
    looking = graph.copy(update={"checkpointer": saver})
    thread: RunnableConfig = {"configurable": {"thread_id": str(thread_id), "checkpoint_ns": ""}}
    states = [state async for state in _states(looking, thread, run_id, most=most + 1)][::-1]
    steps = [_ended(before, after, is_own=True) for before, after in pairwise(states)]
    if states and len(states) <= most and (parent := states[0].parent_config):
        steps.insert(0, _ended(await looking.aget_state(parent), states[0], is_own=False))
    steps += [_open(state) for state in states[-1:]]
    return [step for step in steps if step is not None]


async def _states(graph: Graph, thread: RunnableConfig, run_id: UUID, *, most: int) -> AsyncIterator[StateSnapshot]:
    """The last states of a run, newest first; without their values, of which only a few are held at a time."""
    before: RunnableConfig | None = None
    while most > 0:
        wanted = min(most, _READ_AT_ONCE)
        history = graph.aget_state_history(thread, filter={"run_id": str(run_id)}, before=before, limit=wanted)
        found = [_outline(state) async for state in history]
        for state in found:
            yield state
        most = most - wanted if len(found) == wanted else 0
        before = found[-1].config if found else None


def _outline(state: StateSnapshot) -> StateSnapshot:
    """A state without what may be large in it; of a task's result only whether there is one."""
    tasks = (task._replace(state=None, result=None if task.result is None else True) for task in state.tasks)
    return state._replace(values=None, tasks=tuple(tasks))


def _ended(before: StateSnapshot, after: StateSnapshot, *, is_own: bool) -> Step | None:
    """The step between two checkpoints; None when there is none, or more than one."""
    if not _follows(before, after):
        return None
    name = _names(before.tasks)
    return Step(name, _ms(before) if is_own else None, _ms(after)) if name else None


def _follows(before: StateSnapshot, after: StateSnapshot) -> bool:
    """Whether one step has led from the one to the other, and not an input or an edit."""
    was, told = before.metadata or {}, after.metadata or {}
    is_next = told.get("source") == "loop" and told.get("step", 0) == was.get("step", 0) + 1
    return is_next and _id(after.parent_config) == _id(before.config)


def _open(last: StateSnapshot) -> Step | None:
    """What was to come after the last checkpoint and has not ended: it asks, has failed, or was not got to."""
    left = [task for task in last.tasks if task.result is None or task.error or task.interrupts]
    asks, failed = any(task.interrupts for task in left), any(task.error for task in left)
    name = _names(left)
    return Step(name, _ms(last), failed=failed, asks=asks) if name else None


def _names(tasks: Iterable[PregelTask]) -> str:
    """The nodes of a step; one that ran several times at once is counted."""
    counted = Counter(task.name for task in tasks if task.name != START)
    return ", ".join(name if number == 1 else f"{name} × {number}" for name, number in counted.items())  # noqa: RUF001 - as people write it


def _id(config: RunnableConfig | None) -> Any:
    return (config or {}).get("configurable", {}).get("checkpoint_id")


def _ms(state: StateSnapshot) -> int | None:
    """When a checkpoint was written."""
    return int(datetime.fromisoformat(state.created_at).timestamp() * 1000) if state.created_at else None
