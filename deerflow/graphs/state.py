"""Thread state: what the newest checkpoint says, in the shape of the SDKs' ThreadState."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import PregelTask, StateSnapshot, StateUpdate

from deerflow.errors import Fenced
from deerflow.graphs import jsonable
from deerflow.graphs.registry import Graph
from deerflow.graphs.start import to_command


class EditRefused(ValueError):
    """A graph does not take an edit: no such node, or a value that its state cannot hold."""


async def get_state(
    graph: Graph, saver: BaseCheckpointSaver[Any], thread_id: UUID, checkpoint: dict[str, Any], *, subgraphs: bool
) -> dict[str, Any]:
    """A thread's state, as plain JSON types. *subgraphs*: unfinished subgraph tasks carry theirs."""
    config = _config(thread_id, checkpoint)
    snapshot = await graph.copy(update={"checkpointer": saver}).aget_state(config, subgraphs=subgraphs)
    shown = _shape(snapshot)
    if snapshot.metadata is None and "checkpoint_id" in checkpoint:  # unknown: empty, but echoing what was asked for
        shown |= {"checkpoint": _checkpoint(config), "checkpoint_id": checkpoint["checkpoint_id"]}
    return jsonable.to_plain(shown)  # type: ignore[no-any-return]


async def get_history(
    graph: Graph,
    saver: BaseCheckpointSaver[Any],
    thread_id: UUID,
    checkpoint: dict[str, Any],
    *,
    limit: int,
    before: dict[str, Any] | None,
    metadata: dict[str, Any] | None,
) -> list[dict[str, Any]]:
    """States of a thread, newest first, as plain JSON types."""
    states = graph.copy(update={"checkpointer": saver}).aget_state_history(
        _config(thread_id, checkpoint),
        filter=metadata,
        before=_config(thread_id, before) if before else None,
        limit=limit,
    )
    return jsonable.to_plain([_shape(snapshot) async for snapshot in states])  # type: ignore[no-any-return]


async def update_state(
    graph: Graph,
    saver: BaseCheckpointSaver[Any],
    thread_id: UUID,
    checkpoint: dict[str, Any],
    *,
    values: Any,
    as_node: str | None,
    graph_id: str,
) -> dict[str, Any]:
    """Write a new checkpoint; what names it. EditRefused when the graph does not take it."""
    config: RunnableConfig = {**_config(thread_id, checkpoint), "metadata": {"graph_id": graph_id}}
    with _refusals_told():
        written = await graph.copy(update={"checkpointer": saver}).aupdate_state(config, values, as_node=as_node)
    return _checkpoint(written)


async def replay(
    graph: Graph,
    saver: BaseCheckpointSaver[Any],
    thread_id: UUID,
    supersteps: list[list[dict[str, Any]]],
    *,
    graph_id: str,
) -> None:
    """Write the checkpoints of supersteps that were made elsewhere: each is a list of what its nodes have said.

    EditRefused when the graph does not take one of them; what was written before that stays.
    """
    updates = [[_said(update) for update in superstep] for superstep in supersteps]
    config: RunnableConfig = {**_config(thread_id, {}), "metadata": {"graph_id": graph_id}}
    with _refusals_told():
        await graph.copy(update={"checkpointer": saver}).abulk_update_state(config, updates)


def _said(update: dict[str, Any]) -> StateUpdate:
    command = update["command"]
    values: Any = update["values"] if command is None else to_command(command)
    return StateUpdate(values, update["as_node"])


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Raise EditRefused for what a graph has against an edit: reducers and schemas are the user's, and may say no in
    any way. What is the store's fault stays what it is.
    """
    try:
        yield
    except (Fenced, OSError, sqlite3.Error, psycopg.Error):
        raise
    except Exception as error:
        raise EditRefused(jsonable.describe_error(error)["message"]) from error


def _config(thread_id: UUID, checkpoint: dict[str, Any]) -> RunnableConfig:
    return {"configurable": {"checkpoint_ns": "", **checkpoint, "thread_id": str(thread_id)}}


def _shape(snapshot: StateSnapshot) -> dict[str, Any]:
    checkpoint = _checkpoint(snapshot.config) if snapshot.metadata is not None else None
    parent = _checkpoint(snapshot.parent_config) if snapshot.parent_config else None
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": _metadata(snapshot),
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
        "error": _told(task.error),
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


def _metadata(snapshot: StateSnapshot) -> dict[str, Any] | None:
    """The checkpoint's metadata with its thread, which the savers keep elsewhere."""
    if snapshot.metadata is None:
        return None
    return {**snapshot.metadata, "thread_id": snapshot.config["configurable"]["thread_id"]}


def _told(error: Any) -> str | None:
    """A task's error as text; one that was read back from the store is text already."""
    return error if error is None or isinstance(error, str) else repr(error)


def _checkpoint(config: RunnableConfig) -> dict[str, Any]:
    names = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    configurable = config["configurable"]
    return {name: configurable[name] for name in names if name in configurable}
