"""A message as the v2 protocol tells it while it grows: its beginning, its content blocks bit by bit, its end.

    message-start -> (content-block-start -> content-block-delta*)* -> content-block-finish* -> message-finish

The same for a message that comes whole. Every event names its message: Python's client goes by ``id``, and so do
classic readers (``domain/classic``). JavaScript's goes by ``run_id``, which is said only where another message of the
same namespace is under way, because it shows up in the message.
"""

import json
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata, add_usage

Data = dict[str, Any]
Block = dict[str, Any]

_GROWS = {
    "text": "text",
    "reasoning": "reasoning",
    "tool_call_chunk": "args",
    "server_tool_call_chunk": "args",
}
"""Blocks that come in pieces, and which of their fields does."""
_HEAVY = frozenset({"args", "base64", "data", "output", "transcript", "value"})
"""What only the end of a block has, so that it is not sent twice."""
_GUESSED = frozenset({"tool_call", "invalid_tool_call"})
"""What LangChain makes of the pieces of a tool call as though they were the whole."""


class Telling:
    """One message that is being told. ``shared``: another one of its namespace was under way with it."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.shared = False
        self._blocks: dict[Any, tuple[int, Block]] = {}
        self._usage: UsageMetadata | None = None
        self._metadata: dict[str, Any] = {}

    def begin(self, message: BaseMessage) -> Data:
        """That there is this message."""
        of_tool = {"tool_call_id": message.tool_call_id} if isinstance(message, ToolMessage) else {}
        known = {"provider": "model_provider", "model": "model_name"}
        told = message.response_metadata
        metadata = {name: told[key] for name, key in known.items() if isinstance(told.get(key), str)}
        data = {"event": "message-start", "role": message.type if of_tool else "ai", "id": self.message_id, **of_tool}
        return data | ({"metadata": metadata} if metadata else {})

    def go_on(self, message: BaseMessage) -> Iterator[Data]:
        """What one more piece of it says, or all of it."""
        for key, piece in _pieces(message):
            if key not in self._blocks:
                self._blocks[key] = (len(self._blocks), dict(piece))
                yield self._say("content-block-start", index=self._blocks[key][0], content=_empty(piece))
            else:
                _join(self._blocks[key][1], piece)
            delta = _delta(piece)
            if delta is not None:
                yield self._say("content-block-delta", index=self._blocks[key][0], delta=delta)
        self._metadata.update(message.response_metadata)
        if isinstance(message, AIMessage):
            self._usage = add_usage(self._usage, message.usage_metadata) if message.usage_metadata else self._usage

    def end(self) -> Iterator[Data]:
        """Its blocks as they have become, and that it is complete."""
        for index, block in self._blocks.values():
            yield self._say("content-block-finish", index=index, content=_finished(block))
        usage = {"usage": self._usage} if self._usage else {}
        metadata = {"metadata": self._metadata} if self._metadata else {}
        yield self._say("message-finish", **usage, **metadata)

    def whole(self, message: BaseMessage) -> Iterator[Data]:
        """All there is to say of a message that has come at once."""
        yield self.begin(message)
        yield from self.go_on(message)
        yield from self.end()

    def fail(self, why: str) -> Data:
        """That there will be no more of it."""
        return self._say("error", message=why)

    def _say(self, event: str, **fields: Any) -> Data:
        apart = {"run_id": self.message_id} if self.shared else {}
        return {"event": event, "id": self.message_id, **fields, **apart}


def _pieces(message: BaseMessage) -> Iterator[tuple[Any, Block]]:
    """The content blocks of a message or of a piece of one, each with what is the same in all pieces of a block."""
    for place, block in enumerate(_blocks(message)):
        index = block.get("index")
        yield (block["type"], "at", place) if index is None else (block["type"], index), block


def _blocks(message: BaseMessage) -> list[Block]:
    blocks: list[Block] = [dict(block) for block in message.content_blocks]
    if isinstance(message, AIMessageChunk) and message.tool_call_chunks:
        if all(block["type"] != "tool_call_chunk" for block in blocks):
            spoken = [block for block in blocks if block["type"] not in _GUESSED]
            return spoken + [{**chunk, "type": "tool_call_chunk"} for chunk in message.tool_call_chunks]
        return blocks
    told = {block.get("id") for block in blocks if block["type"] == "invalid_tool_call"}
    invalid = message.invalid_tool_calls if isinstance(message, AIMessage) else []
    return blocks + [{**call, "type": "invalid_tool_call"} for call in invalid if call.get("id") not in told]


def _empty(block: Block) -> Block:
    """A block before its first piece."""
    grows = _GROWS.get(block["type"])
    if grows is None:
        light = {key: value for key, value in block.items() if key not in _HEAVY}
        return light | ({"args": {}} if block["type"] in {"tool_call", "server_tool_call"} else {})
    dropped = {grows, "annotations"} | ({"index"} if grows != "args" else set())
    return {**{key: value for key, value in block.items() if key not in dropped}, grows: ""}


def _delta(piece: Block) -> Data | None:
    """What a piece adds; None where only the block's end tells."""
    grows = _GROWS.get(piece["type"])
    if grows is not None:
        kind = "tool-call-delta" if grows == "args" else f"{grows}-delta"
        return {"type": kind, grows: piece[grows]} if piece.get(grows) else None
    if isinstance(piece.get("data"), str):
        encoding = {"encoding": "base64"} if piece.get("encoding") == "base64" else {}
        return {"type": "data-delta", "data": piece["data"], **encoding}
    return None


def _join(block: Block, piece: Block) -> None:
    """Add a piece to what there is of its block."""
    grows = _GROWS.get(piece["type"], "data")
    for key, value in piece.items():
        if value is None:
            continue
        if key == grows and isinstance(value, str):
            block[key] = (block.get(key) or "") + value
        elif key == "extras" and isinstance(value, dict):
            block[key] = {**(block.get(key) or {}), **value}
        else:
            block[key] = value


def _finished(block: Block) -> Block:
    """A block whose last piece has come: a tool call has its arguments now."""
    if _GROWS.get(block["type"]) != "args":
        return block
    kind = block["type"].removesuffix("_chunk")
    kept = {key: value for key, value in block.items() if key not in {"type", "args", "index"} and value is not None}
    try:
        args = json.loads(block.get("args") or "{}")
    except ValueError:
        return {"type": "invalid_tool_call", **kept, "args": block["args"], "error": "The arguments are not JSON"}
    return {"type": kind, "id": "", "name": "", **kept, "args": args}
