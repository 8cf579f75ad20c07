"""The v2 event protocol: what the entries of a thread's logs are to clients that follow the whole thread.

An event's ``seq`` is counted nowhere: ``ordinal * 2^32 + place * 256 + k`` of its run and its entry (k: which one of
the entry's events), so it is the same on every connection and survives the loss of older logs. Clients compare it and
find repeats by ``event_id``: ``<run_id>:<place>``; of what tells of a run itself ``synth:<run_id>:…``, the only place
where clients learn which run that is (langgraph-sdk 1.15, ``stream/controller.js``).

What a v2 run has said lies in its log as it is told here, but for the envelope: ``v2:<method>`` with ``{"namespace",
"data", "node"?}``. Of other runs lifecycle, values and questions are told. That the run itself begins and ends is in no
log: it begins with its first entry and ends as its row says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from deerflow.domain.events import Entry
from deerflow.domain.turns import BEGINNING, Spot, Turn
from deerflow.domain.words import RunStatus

CHANNELS = ("values", "updates", "messages", "tools", "custom", "lifecycle", "input", "tasks", "checkpoints")
"""What can be subscribed to, beside ``custom:<name>``."""

METHODS = frozenset({*CHANNELS, "input.requested"}) - {"input"}

_PREFIX = "v2:"
_INPUT = "input.requested"
_RUN_BITS, _PLACE_BITS = 32, 8
_MOST_OF_ONE_ENTRY = (1 << _PLACE_BITS) - 1
_MOST_RUNS = (1 << 31) - 1
_NUL = "\0"
_ROLES = {"assistant": "ai", "user": "human"}
_MESSAGES = frozenset({"ai", "human", "system", "tool", "function", "developer", "remove", *_ROLES})
_TERMINAL = {
    RunStatus.SUCCESS: "completed",
    RunStatus.ERROR: "failed",
    RunStatus.TIMEOUT: "failed",
    RunStatus.INTERRUPTED: "interrupted",
}

Namespace = tuple[str, ...]


def seq_of(spot: Spot, k: int = 0) -> int:
    """The number of an event."""
    return (spot.ordinal << _RUN_BITS) + (spot.place << _PLACE_BITS) + k


def before(seq: int) -> Spot:
    """Where to begin to read for what comes after *seq*: before its entry, which may have more events."""
    if seq <= 0:
        return BEGINNING
    place = (seq & ((1 << _RUN_BITS) - 1)) >> _PLACE_BITS
    return Spot(min(seq >> _RUN_BITS, _MOST_RUNS), max(place - 1, 0))


@dataclass(frozen=True)
class ProtocolEvent:
    """One event, for whoever asks for it. ``at_ms`` is when it was said, also when it is told again."""

    method: str
    event_id: str
    seq: int
    at_ms: int
    namespace: Namespace
    data: Any
    more: dict[str, Any] = field(default_factory=dict)
    """What else the envelope says, such as the node."""

    @property
    def channel(self) -> str:
        """The channel that it belongs to."""
        if self.method == _INPUT:
            return "input"
        if self.method == "custom" and isinstance(self.data, dict) and isinstance(self.data.get("name"), str):
            return f"custom:{self.data['name']}"
        return self.method

    def envelope(self) -> bytes:
        """The event as clients read it."""
        params = {"namespace": self.namespace, "timestamp": self.at_ms, **self.more, "data": self.data}
        return orjson.dumps(
            {"type": "event", "event_id": self.event_id, "seq": self.seq, "method": self.method, "params": params}
        )


@dataclass(frozen=True)
class Subscription:
    """What a client wants to hear: channels, namespaces (none: all) and how deep below them, from behind a number."""

    channels: frozenset[str]
    namespaces: tuple[Namespace, ...] = ()
    depth: int | None = None
    since: int = 0

    def may_take(self, method: str) -> bool:
        """Whether it can be about events of this method at all; spares reading what it is not about."""
        channel = "input" if method == _INPUT else method
        return channel in self.channels or (method == "custom" and any(c.startswith("custom:") for c in self.channels))

    def takes(self, event: ProtocolEvent) -> bool:
        """Whether this event is among what is wanted."""
        channel = event.channel
        wanted = channel in self.channels or (channel.startswith("custom:") and "custom" in self.channels)
        return wanted and event.seq > self.since and self._is_within(event.namespace)

    def _is_within(self, namespace: Namespace) -> bool:
        if not self.namespaces:
            return True
        return any(
            _begins_with(namespace, prefix) and (self.depth is None or len(namespace) - len(prefix) <= self.depth)
            for prefix in self.namespaces
        )


def _begins_with(namespace: Namespace, prefix: Namespace) -> bool:
    """Segment by segment; a prefix that names no task (``node`` without ``:id``) means all tasks of the node."""
    if len(prefix) > len(namespace):
        return False
    pairs = zip(namespace, prefix, strict=False)
    return all(has == wanted or (":" not in wanted and has.partition(":")[0] == wanted) for has, wanted in pairs)


class Telling:
    """Makes one connection's protocol events of what a thread's runs have said, in the order in which they come."""

    def __init__(self) -> None:
        self._begun: set[UUID] = set()

    def said(self, turn: Turn, entry: Entry, wanted: Subscription) -> Iterator[ProtocolEvent]:
        """The events of one entry."""
        if turn.run_id not in self._begun:
            self._begun.add(turn.run_id)
            yield _of_the_run(turn, "running", Spot(turn.ordinal, 1), entry.at_ms)
        name = entry.name
        if name.startswith(_PREFIX):
            yield from _protocol_event(turn, entry, name.removeprefix(_PREFIX), wanted)
        elif name.partition("|")[0] == "values":
            yield from _of_values(turn, entry, tuple(name.split("|")[1:]), wanted)

    def over(self, turn: Turn, place: int, *, is_paused: bool) -> ProtocolEvent:
        """That a run has ended, in a *place* behind its last entry. *is_paused*: it has left nodes to run."""
        self._begun.discard(turn.run_id)
        how = "interrupted" if is_paused else _TERMINAL[turn.status]
        at_ms = int(turn.updated_at.timestamp() * 1_000)
        return _of_the_run(turn, how, Spot(turn.ordinal, place), at_ms)


def _of_the_run(turn: Turn, how: str, spot: Spot, at_ms: int) -> ProtocolEvent:
    data = {"event": how, "graph_name": turn.graph_id}
    if how == "failed":
        error = turn.error or {}
        data["error"] = str(error.get("message") or error.get("error") or "The run failed.")
    return ProtocolEvent("lifecycle", f"synth:{turn.run_id}:lc||{how}", seq_of(spot), at_ms, (), data)


def _protocol_event(turn: Turn, entry: Entry, method: str, wanted: Subscription) -> Iterator[ProtocolEvent]:
    if method not in METHODS or not wanted.may_take(method):
        return
    said = orjson.loads(entry.data)
    if not isinstance(said, dict) or "namespace" not in said:  # too large, so that only a note of it was stored
        said = {"namespace": [], "data": said}
    namespace, data = tuple(said.pop("namespace")), said.pop("data", None)
    event_id = f"{turn.run_id}:{entry.place}"
    if method == _INPUT and isinstance(data, dict):
        event_id = _question_id(turn, namespace, data.get("interrupt_id"))
        data = _question(data.get("interrupt_id"), data.get("payload"))
    yield ProtocolEvent(
        method, event_id, seq_of(Spot(turn.ordinal, entry.place)), entry.at_ms, namespace, data, more=said
    )


def _of_values(turn: Turn, entry: Entry, namespace: Namespace, wanted: Subscription) -> Iterator[ProtocolEvent]:
    """The values of a run of the older protocol, and the questions among them."""
    if not (wanted.may_take("values") or wanted.may_take(_INPUT)):
        return
    values, spot = orjson.loads(entry.data), Spot(turn.ordinal, entry.place)
    questions = values.pop("__interrupt__", None) if isinstance(values, dict) else None
    yield ProtocolEvent(
        "values", f"{turn.run_id}:{entry.place}", seq_of(spot), entry.at_ms, namespace, normalized(values)
    )
    for k, question in enumerate((questions or [])[:_MOST_OF_ONE_ENTRY], start=1):
        data = _question(question.get("id"), question.get("value"))
        event_id = _question_id(turn, namespace, question.get("id"))
        yield ProtocolEvent(_INPUT, event_id, seq_of(spot, k), entry.at_ms, namespace, data)


def _question_id(turn: Turn, namespace: Namespace, interrupt_id: object) -> str:
    return f"synth:{turn.run_id}:input|{_NUL.join(namespace)}|{interrupt_id}"


def _question(interrupt_id: object, payload: object) -> dict[str, Any]:
    """A question; the protocol says ``payload``, and the Python SDK reads ``value``."""
    return {"interrupt_id": interrupt_id, "payload": payload, "value": payload}


def normalized(values: Any) -> Any:
    """A state as the protocol shows it: its messages with only the fields that the protocol knows."""
    if not isinstance(values, dict):
        return values
    return {name: _messages(value) if isinstance(value, list) else value for name, value in values.items()}


def _messages(value: list[Any]) -> list[Any]:
    return [_message(each) if _is_message(each) else each for each in value]


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and "content" in value and value.get("type") in _MESSAGES


def _message(message: dict[str, Any]) -> dict[str, Any]:
    kind = _ROLES.get(message["type"], message["type"])
    shown = {"type": kind, "content": message["content"]}
    shown |= {name: message[name] for name in ("id", "name") if message.get(name) is not None}
    if isinstance(message.get("example"), bool):
        shown["example"] = message["example"]
    if message.get("response_metadata"):
        shown["response_metadata"] = message["response_metadata"]
    if kind == "tool":
        shown |= {name: message[name] for name in ("tool_call_id", "status", "artifact") if name in message}
    if kind == "ai" and message.get("tool_calls"):
        shown["tool_calls"] = [_tool_call(call) for call in message["tool_calls"]]
    if kind == "ai" and message.get("invalid_tool_calls"):
        shown["invalid_tool_calls"] = message["invalid_tool_calls"]
    return shown


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_call", **{name: call.get(name) for name in ("id", "name", "args")}}
