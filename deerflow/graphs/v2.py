"""The v2 protocol: what LangGraph yields, as the protocol's events, one Event each (docs/adr/0019).

An Event is named ``v2:<method>``; its data is ``{"namespace": [...], "data": ...}`` and, where one node is behind it,
``"node"``. Methods: values, updates, messages, tools, custom, tasks, checkpoints, input.requested, and lifecycle of
subgraphs. The run's own lifecycle, ids and times are added by who reads the log.

A step's values are told right after its checkpoint, as clients pair the two; LangGraph says them the other way
round. So values are held until their checkpoint comes, or anything else that shows that there is none.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.errors import GraphDrained
from langgraph.types import Command

from deerflow.domain.events import Event
from deerflow.graphs.content import Telling
from deerflow.graphs.normal import normalize
from deerflow.graphs.registry import Graph
from deerflow.graphs.speakers import Speakers
from deerflow.graphs.subgraphs import Subgraphs
from deerflow.graphs.transformers import INTERRUPT, Part, Parts, through_transformers

MODES = ("checkpoints", "custom", "messages", "tasks", "tools", "updates", "values")
"""What LangGraph is asked for: everything, whoever will read it."""

Namespace = tuple[str, ...]
Data = dict[str, Any]


class Protocol:
    """What one attempt of a run says in the v2 protocol. It remembers what is still under way."""

    def __init__(self) -> None:
        self._speakers = Speakers()
        self._subgraphs = Subgraphs()
        self._held: dict[Namespace, Any] = {}
        self._requested: set[str] = set()
        self.last_values: Any = None
        """The graph's values as they were told last, with their interrupts."""

    async def events(self, graph: Graph, parts: Parts) -> AsyncIterator[list[Event]]:
        """What LangGraph's stream says, part by part; raises what it raises."""
        async with aclosing(through_transformers(graph, self._seen(parts))) as told:
            async for part in told:
                yield list(self._tell(*part))
            yield self._let_go(set(self._held))

    async def _seen(self, parts: Parts) -> Parts:
        """The same parts, with messages in content blocks and what subgraphs are about among them."""
        async with aclosing(parts):
            try:
                async for part in parts:
                    for told in self._see(*part):
                        yield told
            except GraphDrained:  # another attempt goes on
                raise
            except Exception as error:
                for told in self._close(error):
                    yield told
                raise
            for told in self._close(None):
                yield told

    def _see(self, namespace: Namespace, mode: str, payload: Any) -> Iterator[Part]:
        if mode == "values" and not namespace:
            self.last_values = payload
        if mode == "messages":
            yield from self._speakers.see(namespace, *payload)
        elif mode == "tasks" and "result" in payload:
            yield from self._speakers.close_of(payload)
            yield namespace, mode, payload
            yield from self._subgraphs.see(namespace, payload)
        elif mode == "tasks":
            yield from self._subgraphs.see(namespace, payload)
            yield namespace, mode, payload
        else:
            yield namespace, mode, payload

    def _close(self, error: BaseException | None) -> Iterator[Part]:
        yield from self._speakers.close(error)
        yield from self._subgraphs.close(error)

    def _tell(self, namespace: Namespace, mode: str, payload: Any) -> Iterator[Event]:
        if mode == "values":
            yield from self._values(namespace, payload)
        elif mode == "checkpoints":
            yield _event(mode, namespace, _light(payload))
            yield from self._let_go({namespace})
        else:
            yield from self._let_go({below for below in self._held if below[: len(namespace)] == namespace})
            yield from _TELL.get(mode, _named)(namespace, mode, payload)

    def _values(self, namespace: Namespace, payload: Any) -> Iterator[Event]:
        yield from self._let_go({namespace})
        if not isinstance(payload, dict) or INTERRUPT not in payload:
            self._held[namespace] = payload
            return
        rest = {key: value for key, value in payload.items() if key != INTERRUPT}
        yield _event("values", namespace, normalize(rest))
        yield from self._requests(namespace, payload[INTERRUPT])

    def _requests(self, namespace: Namespace, interrupts: Iterable[Any]) -> Iterator[Event]:
        """What the graph asks its user, once; a graph passes on what its subgraphs have asked."""
        for interrupt in interrupts:
            if interrupt.id not in self._requested:
                self._requested.add(interrupt.id)
                asked = {"interrupt_id": interrupt.id, "payload": interrupt.value}
                yield _event("input.requested", namespace, asked)

    def _let_go(self, namespaces: set[Namespace]) -> list[Event]:
        """The values that are held for these."""
        due = [namespace for namespace in self._held if namespace in namespaces]
        return [_event("values", namespace, normalize(self._held.pop(namespace))) for namespace in due]


def _event(method: str, namespace: Namespace, data: Any, node: str | None = None) -> Event:
    told = {"namespace": list(namespace), "data": data}
    return Event(f"v2:{method}", told if node is None else {**told, "node": node})


def _plainly(namespace: Namespace, mode: str, payload: Any) -> Iterator[Event]:
    yield _event(mode, namespace, payload)


def _message(namespace: Namespace, mode: str, payload: tuple[Data, Data]) -> Iterator[Event]:
    data, metadata = payload
    yield _event(mode, namespace, data, metadata.get("langgraph_node"))


def _updates(namespace: Namespace, mode: str, payload: Data) -> Iterator[Event]:
    """One event a node; what stopped the graph is no node's update."""
    for node, update in payload.items():
        if not node.startswith("__"):
            yield _event(mode, namespace, normalize(update), node)


def _task(namespace: Namespace, mode: str, payload: Data) -> Iterator[Event]:
    yield _event(mode, namespace, normalize(payload), payload["name"])


def _custom(namespace: Namespace, mode: str, payload: Any) -> Iterator[Event]:
    yield _event(mode, namespace, {"payload": normalize(payload)})


def _named(namespace: Namespace, mode: str, payload: Any) -> Iterator[Event]:
    """What a transformer of the graph says, under the name that it has chosen."""
    yield _event("custom", namespace, {"name": mode.removeprefix("custom:"), "payload": normalize(payload)})


def _tool(namespace: Namespace, mode: str, payload: Data) -> Iterator[Event]:
    """What a tool does; its result also as a message, in a namespace of the call."""
    yield _event(mode, namespace, payload)
    call = payload["tool_call_id"]
    result = _result(payload.get("output"), call) if payload["event"] == "tool-finished" else None
    if result is not None:
        for data in Telling(f"tool-{call}").whole(result):
            yield _event("messages", (*namespace, f"tools:{call}"), data)


def _result(output: Any, call: str) -> ToolMessage | None:
    """The message in what a tool has returned."""
    if isinstance(output, Command):
        output = output.update.get("messages") if isinstance(output.update, dict) else None
    found = output if isinstance(output, list) else [output]
    return next((one for one in found if isinstance(one, ToolMessage) and one.tool_call_id == call), None)


def _light(payload: Data) -> Data:
    """As much of a checkpoint as clients need to fork from it."""
    parent, metadata = payload.get("parent_config"), payload["metadata"]
    parents = {"parent_id": parent["configurable"]["checkpoint_id"]} if parent else {}
    told = {"step": metadata.get("step"), "source": metadata.get("source")}
    return {"id": payload["config"]["configurable"]["checkpoint_id"], **parents, **told}


_TELL = {
    "lifecycle": _plainly,
    "messages": _message,
    "updates": _updates,
    "tasks": _task,
    "custom": _custom,
    "tools": _tool,
}
