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
from deerflow.domain.ids import new_id
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import StreamMode
from deerflow.graphs import jsonable
from deerflow.graphs.modes import Modes
from deerflow.graphs.registry import Graph

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
        modes = Modes([StreamMode(mode) for mode in self._run.kwargs["stream_mode"]])
        graph_input = None if await self._resumes() else self._run.kwargs["input"]
        parts = self._with_callbacks(graph_input, modes) if modes.wants_callbacks else self._parts(graph_input, modes)
        self._listening = True
        try:
            async for events in parts:
                self._listening = False
                self._heard += 1
                for event in events:
                    yield event
                self._listening = True
        finally:
            self._listening = True  # whoever waits for us to catch up waits no longer

    async def _parts(self, graph_input: Any, modes: Modes) -> AsyncIterator[list[Event]]:
        """LangGraph's own stream."""
        subgraphs = bool(self._run.kwargs["subgraphs"])
        parts: AsyncIterator[Any] = self._graph.astream(graph_input, run_config(self._run), **self._options(modes))
        async for part in parts:
            namespace, mode, payload = part if subgraphs else ((), *part)
            yield modes.events(mode, namespace, payload)

    async def _with_callbacks(self, graph_input: Any, modes: Modes) -> AsyncIterator[list[Event]]:
        """LangChain's events; LangGraph's stream comes among them as the chunks of the graph's own run."""
        subgraphs = bool(self._run.kwargs["subgraphs"])
        config = run_config(self._run)
        config.setdefault("run_id", new_id())
        root = str(config["run_id"])
        events: AsyncIterator[Any] = self._graph.astream_events(
            graph_input, config, version="v2", **self._options(modes)
        )
        async for event in events:
            if event["event"] == "on_chain_stream" and event["run_id"] == root:
                namespace, mode, payload = event["data"]["chunk"] if subgraphs else ((), *event["data"]["chunk"])
                yield modes.events(mode, namespace, payload)
            else:
                yield modes.callback(event)

    def _options(self, modes: Modes) -> dict[str, Any]:
        kwargs = self._run.kwargs
        return {
            "context": _fitting(self._graph, kwargs.get("context")),
            "stream_mode": modes.native,
            "subgraphs": bool(kwargs["subgraphs"]),
            "durability": "async",
            "control": self._control,
        }

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


def _fitting(graph: Graph, context: dict[str, Any] | None) -> dict[str, Any] | None:
    """The keys of a context that its graph knows: clients send the same context to graphs of every kind."""
    if not context or graph.context_schema is None:
        return context or None
    known = (graph.get_context_jsonschema() or {}).get("properties")
    return context if known is None else {key: value for key, value in context.items() if key in known}


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
    asked["configurable"] = {**asked.get("configurable", {}), **ids}
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
        task.id: [jsonable.interrupt_in_state(i) for i in task.interrupts] for task in snapshot.tasks if task.interrupts
    }
    return ThreadHead(jsonable.to_plain(snapshot.values), tuple(snapshot.next), jsonable.to_plain(interrupts))
