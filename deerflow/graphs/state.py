"""Thread state: what the newest checkpoint says, in the shape of the SDKs' ThreadState."""

from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import PregelTask, StateSnapshot

from deerflow.graphs import jsonable
from deerflow.graphs.registry import Graph


async def get_state(
    graph: Graph, saver: BaseCheckpointSaver[Any], thread_id: UUID, *, subgraphs: bool
) -> dict[str, Any]:
    """The thread's state now, as plain JSON types. *subgraphs*: unfinished subgraph tasks carry theirs."""
    config: RunnableConfig = {"configurable": {"thread_id": str(thread_id)}}
    snapshot = await graph.copy(update={"checkpointer": saver}).aget_state(config, subgraphs=subgraphs)
    return jsonable.to_plain(_shape(snapshot))  # type: ignore[no-any-return]


def _shape(snapshot: StateSnapshot) -> dict[str, Any]:
    checkpoint = _checkpoint(snapshot.config) if snapshot.metadata is not None else None
    parent = _checkpoint(snapshot.parent_config) if snapshot.parent_config else None
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": snapshot.metadata,
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": [jsonable.interrupt_in_state(i) for i in snapshot.interrupts],
        "checkpoint_id": checkpoint and checkpoint["checkpoint_id"],
        "parent_checkpoint_id": parent and parent["checkpoint_id"],
    }


def _task(task: PregelTask) -> dict[str, Any]:
    nested = task.state
    shown: dict[str, Any] = {
        "id": task.id,
        "name": task.name,
        "path": list(task.path),
        "error": None if task.error is None else repr(task.error),
        "interrupts": [jsonable.interrupt_in_state(i) for i in task.interrupts],
        "checkpoint": None,
        "state": None,
        "result": task.result,
    }
    if isinstance(nested, StateSnapshot):
        shown["state"] = _shape(nested)
    elif nested is not None:
        shown["checkpoint"] = _checkpoint(nested)
    return shown


def _checkpoint(config: RunnableConfig) -> dict[str, Any]:
    names = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    configurable = config["configurable"]
    return {"checkpoint_id": None} | {name: configurable[name] for name in names if name in configurable}
