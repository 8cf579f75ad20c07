"""One attempt of a run: a graph streamed as Events, in the stream modes asked for or in the v2 protocol."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, TypeVar
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
from deerflow.graphs.start import Start, find_start, fitting_context, limit_steps
from deerflow.graphs.v2 import MODES, Protocol

T = TypeVar("T")

V2 = "v2"
"""The protocol of a run whose log holds the v2 protocol's events, in its ``kwargs``."""

_QUIET_TURNS = 12
"""Turns of the loop without a new event after which LangGraph has none under way: its queue needs about five."""

Drained = GraphDrained
"""Raised out of ``events`` when the graph stopped at a checkpoint because a drain was asked for."""


class Performance:
    """One attempt of one run. ``events`` is consumed once; ``caught_up`` is what its saver waits for."""

    def __init__(
        self, graph: Graph, run: Run, saver: BaseCheckpointSaver[Any], store: BaseStore, *, most_steps: int
    ) -> None:
        self._graph = graph.copy(update={"checkpointer": saver, "store": store})
        self._saver = saver
        self._run = run
        self._most_steps = most_steps
        self._said: Modes | Protocol = (
            Protocol()
            if run.kwargs.get("protocol") == V2
            else Modes([StreamMode(mode) for mode in run.kwargs["stream_mode"]])
        )
        self._control = RunControl()
        self._heard = 0
        self._listening = True

    async def events(self) -> AsyncIterator[Event]:
        """Run the graph; raises what the graph raises, and Drained."""
        start = await find_start(self._graph, self._saver, self._run)
        if start is None:
            return
        limit_steps(self._graph, start.config, self._most_steps)
        async for events in self._told(start):
            for event in events:
                yield event

    def _told(self, start: Start) -> AsyncIterator[list[Event]]:
        said = self._said
        if isinstance(said, Protocol):
            return said.events(self._graph, self._heard_of(self._stream(start, MODES, subgraphs=True)))
        return self._with_callbacks(start, said) if said.wants_callbacks else self._parts(start, said)

    async def _heard_of(self, parts: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """The same parts; it is noted when we wait for the next one and when we have our hands full."""
        self._listening = True
        try:
            async for part in parts:
                self._listening = False
                self._heard += 1
                yield part
                self._listening = True
        finally:
            self._listening = True  # whoever waits for us to catch up waits no longer

    async def _parts(self, start: Start, modes: Modes) -> AsyncIterator[list[Event]]:
        """LangGraph's own stream."""
        subgraphs = bool(self._run.kwargs["subgraphs"])
        async for part in self._heard_of(self._stream(start, modes.native, subgraphs=subgraphs)):
            namespace, mode, payload = part if subgraphs else ((), *part)
            yield modes.events(mode, namespace, payload)

    async def _with_callbacks(self, start: Start, modes: Modes) -> AsyncIterator[list[Event]]:
        """LangChain's events; LangGraph's stream comes among them as the chunks of the graph's own run."""
        subgraphs = bool(self._run.kwargs["subgraphs"])
        config = start.config
        config.setdefault("run_id", new_id())
        root = str(config["run_id"])
        events: AsyncIterator[Any] = self._graph.astream_events(
            start.input, config, version="v2", **self._options(modes.native, subgraphs=subgraphs)
        )
        async for event in self._heard_of(events):
            if event["event"] == "on_chain_stream" and event["run_id"] == root:
                namespace, mode, payload = event["data"]["chunk"] if subgraphs else ((), *event["data"]["chunk"])
                yield modes.events(mode, namespace, payload)
            else:
                yield modes.callback(event)

    def _stream(self, start: Start, modes: Sequence[str], *, subgraphs: bool) -> AsyncIterator[Any]:
        return self._graph.astream(start.input, start.config, **self._options(modes, subgraphs=subgraphs))

    def _options(self, modes: Sequence[str], *, subgraphs: bool) -> dict[str, Any]:
        kwargs = self._run.kwargs
        return {
            "context": fitting_context(self._graph, kwargs.get("context")),
            "stream_mode": list(modes),
            "subgraphs": subgraphs,
            "interrupt_before": kwargs.get("interrupt_before"),
            "interrupt_after": kwargs.get("interrupt_after"),
            "durability": kwargs.get("durability") or "async",
            "control": self._control,
        }

    @property
    def last_values(self) -> Any:
        """What the graph has told of its values last; None before the first time."""
        return self._said.last_values

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
