"""The stream transformers that a graph was compiled with: they see what a v2 run says, may change or drop it, and say
things of their own (``custom:<name>``).

LangGraph drives them itself only in a mode that makes models answer differently (docs/adr/0019). So we drive them, with
its own dispatcher.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from langgraph.stream import ProtocolEvent
from langgraph.stream._mux import StreamMux  # what takes a graph's transformers is not public

from deerflow.graphs.registry import Graph

Part = tuple[tuple[str, ...], str, Any]
"""Namespace, mode and payload, as LangGraph streams them."""
Parts = AsyncGenerator[Part, None]

INTERRUPT = "__interrupt__"


async def through_transformers(graph: Graph, parts: Parts) -> Parts:
    """The same parts as the graph's transformers leave them, and among them what these say."""
    async with aclosing(parts):
        told = _dispatched(graph, parts) if graph.stream_transformers else parts
        async with aclosing(told):
            async for part in told:
                yield part


async def _dispatched(graph: Graph, parts: Parts) -> Parts:
    mux = StreamMux(factories=list(graph.stream_transformers), is_async=True)

    async def pump() -> bool:
        try:
            part = await anext(parts)
        except StopAsyncIteration:
            await mux.aclose()
            return False
        except Exception as error:  # noqa: BLE001 - the graph's own; it comes out of the stream below
            await mux.afail(error)
            return False
        await mux.apush(_event(*part))
        return True

    mux.bind_apump(pump)
    async for event in mux._events:
        yield _part(event)


def _event(namespace: tuple[str, ...], mode: str, payload: Any) -> ProtocolEvent:
    now = int(time.time() * 1000)
    if mode == "values" and isinstance(payload, dict) and INTERRUPT in payload:
        data = {key: value for key, value in payload.items() if key != INTERRUPT}
        params: Any = {"namespace": list(namespace), "timestamp": now, "data": data, "interrupts": payload[INTERRUPT]}
    else:
        params = {"namespace": list(namespace), "timestamp": now, "data": payload}
    return {"type": "event", "method": mode, "params": params}


def _part(event: ProtocolEvent) -> Part:
    params = event["params"]
    asked = {INTERRUPT: params["interrupts"]} if "interrupts" in params else {}
    return tuple(params["namespace"]), event["method"], {**params["data"], **asked} if asked else params["data"]
