"""One attempt of a run: a graph streamed as Events, for the stream modes its creator asked for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.store.base import BaseStore

from deerflow.domain.events import Event
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import StreamMode
from deerflow.graphs import jsonable
from deerflow.graphs.registry import Graph

_NATIVE = {StreamMode.MESSAGES_TUPLE: "messages"}
"""Stream modes that LangGraph calls otherwise; the event's name is LangGraph's."""

_QUIET_TURNS = 12
"""Turns of the loop without a new event after which LangGraph has none under way: its queue needs about five."""

Drained = GraphDrained
"""Raised out of ``events`` when the graph stopped at a checkpoint because a drain was asked for."""


class Performance:
    """One attempt of one run. ``events`` is consumed once; ``caught_up`` is what its saver waits for."""

    def __init__(self, graph: Graph, run: Run, saver: BaseCheckpointSaver[Any], store: BaseStore) -> None:
        self._graph = graph.copy(update={"checkpointer": saver, "store": store})
        self._saver = saver
        self._run = run
        self._control = RunControl()
        self._heard = 0
        self._listening = True

    async def events(self) -> AsyncIterator[Event]:
        """Run the graph; raises what the graph raises, and Drained."""
        kwargs = self._run.kwargs
        asked = [StreamMode(mode) for mode in kwargs["stream_mode"]]
        subgraphs = bool(kwargs["subgraphs"])
        modes: list[Any] = [_NATIVE.get(mode, mode.value) for mode in asked]
        parts: AsyncIterator[Any] = self._graph.astream(
            None if await self._resumes() else kwargs["input"],
            run_config(self._run),
            context=kwargs.get("context") or None,
            stream_mode=modes,
            subgraphs=subgraphs,
            durability="async",
            control=self._control,
        )
        self._listening = True
        async for part in parts:
            self._listening = False
            self._heard += 1
            namespace, mode, payload = part if subgraphs else ((), *part)
            yield Event("|".join((mode, *namespace)), payload)
            self._listening = True

    async def caught_up(self) -> None:
        """Wait until every event that the graph has put out so far was handed to the consumer of ``events``.

        LangGraph stores a node's writes while what the node said may still be in its queue. There is no way to
        look into that queue; but its reader moves whenever there is something in it, so a reader that has been
        waiting for a dozen turns of the loop has read it all.
        """
        quiet, heard = 0, self._heard
        while quiet < _QUIET_TURNS:
            await asyncio.sleep(0 if self._listening else 0.002)
            quiet = quiet + 1 if self._listening and heard == self._heard else 0
            heard = self._heard

    def drain(self) -> None:
        """Ask the graph to stop at its next checkpoint; ``events`` then raises Drained."""
        self._control.request_drain()

    async def _resumes(self) -> bool:
        """Whether an earlier attempt of this run left a checkpoint to go on from."""
        if self._run.attempt == 1:
            return False
        head = await self._saver.aget_tuple(
            {"configurable": {"thread_id": str(self._run.thread_id), "checkpoint_ns": ""}}
        )
        return head is not None and head.metadata.get("run_id") == str(self._run.run_id)


def run_config(run: Run) -> RunnableConfig:
    """The config that a run was created with; ids that the server decides win over the client's."""
    asked = dict(run.kwargs.get("config") or {})
    ids = {
        "run_id": str(run.run_id),
        "thread_id": str(run.thread_id),
        "graph_id": run.graph_id,
        "assistant_id": str(run.assistant_id),
        "user_id": run.owner,
    }
    asked["configurable"] = {**asked.get("configurable", {}), **ids, "checkpoint_ns": ""}
    asked["metadata"] = {**asked.get("metadata", {}), **run.metadata, **ids, "run_attempt": run.attempt}
    if run.attempt == 1:
        asked["run_id"] = run.run_id
    return asked  # type: ignore[return-value]


async def read_head(graph: Graph, saver: BaseCheckpointSaver[Any], thread_id: UUID) -> ThreadHead | None:
    """What a thread's newest checkpoint says, as plain JSON types; None when there is no checkpoint."""
    config: RunnableConfig = {"configurable": {"thread_id": str(thread_id)}}
    snapshot = await graph.copy(update={"checkpointer": saver}).aget_state(config)
    if snapshot.metadata is None:
        return None
    interrupts = {
        task.id: [jsonable.interrupt_in_state(i) for i in task.interrupts]
        for task in snapshot.tasks
        if task.interrupts
    }
    return ThreadHead(jsonable.to_plain(snapshot.values), tuple(snapshot.next), jsonable.to_plain(interrupts))
