"""What a run of the v2 protocol has said, for readers of the classic protocol: values, messages, questions and errors.

One entry is one event or none, in the same place, so a cursor means the same to all readers. Only the run's own graph
is told, as it is of a classic run whose creator did not ask for subgraphs.
"""

from typing import Any

import orjson

from deerflow.domain.events import Entry

_PREFIX = b"event: v2:"

_CHUNK: dict[str, Any] = {
    "content": "",
    "additional_kwargs": {},
    "response_metadata": {},
    "type": "AIMessageChunk",
    "name": None,
    "tool_calls": [],
    "invalid_tool_calls": [],
    "usage_metadata": None,
    "tool_call_chunks": [],
    "chunk_position": None,
}


def classic(entry: Entry) -> Entry | None:
    """The entry as classic readers know it; None when it is not for them."""
    if not entry.frame.startswith(_PREFIX):
        return entry
    told = _event(entry.name.removeprefix("v2:"), orjson.loads(entry.data))
    if told is None:
        return None
    name, data = told
    return Entry(entry.place, entry.at_ms, b"event: %s\r\ndata: %s\r\n" % (name, orjson.dumps(data)))


def _event(method: str, said: dict[str, Any]) -> tuple[bytes, Any] | None:
    data = said["data"]
    if method != "values" and (not isinstance(data, dict) or "left_out" in data):  # too large to be told piece by piece
        return None
    if method == "input.requested":  # wherever it was asked, as langgraph itself passes it on
        return b"values", {"__interrupt__": [{"value": data["payload"], "id": data["interrupt_id"]}]}
    if said["namespace"]:
        return None
    if method == "values":
        return b"values", data
    chunk = _chunk(data) if method == "messages" else None
    return (b"messages", [{**_CHUNK, "id": data["id"], **chunk}, _metadata(said)]) if chunk is not None else None


def _metadata(said: dict[str, Any]) -> dict[str, Any]:
    return {"langgraph_node": said["node"]} if said.get("node") else {}


def _chunk(data: dict[str, Any]) -> dict[str, Any] | None:
    """The piece of a message in one event of it."""
    if data["event"] == "content-block-delta":
        return _delta(data["index"], data["delta"])
    if data["event"] == "content-block-start":
        return _start(data["index"], data["content"])
    if data["event"] == "message-finish":
        usage = {"usage_metadata": data["usage"]} if "usage" in data else {}
        return {"response_metadata": data.get("metadata", {}), "chunk_position": "last", **usage}
    return {} if data["event"] == "message-start" else None


def _start(index: int, content: dict[str, Any]) -> dict[str, Any] | None:
    """A tool call's name and id come with its beginning."""
    if content["type"] != "tool_call_chunk":
        return None
    return {"tool_call_chunks": [_call(index, "", content.get("id"), content.get("name"))]}


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any] | None:
    if delta["type"] == "text-delta":
        return {"content": delta["text"]}
    if delta["type"] == "reasoning-delta":
        return {"content": [{"type": "reasoning", "reasoning": delta["reasoning"], "index": index}]}
    if delta["type"] == "tool-call-delta":
        return {"tool_call_chunks": [_call(index, delta["args"])]}
    return None


def _call(index: int, args: str, call_id: str | None = None, name: str | None = None) -> dict[str, Any]:
    return {"name": name, "args": args, "id": call_id, "index": index, "type": "tool_call_chunk"}
