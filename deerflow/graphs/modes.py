"""Stream modes: what LangGraph yields, as the Events that clients of each mode expect."""

from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

from deerflow.domain.claims import ANONYMOUS
from deerflow.domain.events import Event
from deerflow.domain.words import StreamMode

_NATIVE = {StreamMode.MESSAGES: "messages", StreamMode.MESSAGES_TUPLE: "messages"}
_HIDDEN = "langsmith:hidden"


class Modes:
    """The stream modes of one run. It remembers the messages that are still growing."""

    def __init__(self, asked: list[StreamMode]) -> None:
        self._asked = set(asked)
        self._growing: dict[str, BaseMessage] = {}
        self.last_values: Any = None
        """The graph's values as they were told last, also where the creator did not ask for them."""

    @property
    def native(self) -> list[Any]:
        """What LangGraph shall yield: always the values too, because a run's outcome is the last of them."""
        return sorted({_NATIVE.get(mode, mode.value) for mode in self._asked - {StreamMode.EVENTS}} | {"values"})

    @property
    def wants_callbacks(self) -> bool:
        """Whether LangChain's own events are asked for."""
        return StreamMode.EVENTS in self._asked

    def events(self, mode: str, namespace: tuple[str, ...], payload: Any) -> list[Event]:
        """What one part of LangGraph's stream says to this run's clients."""
        if mode == "messages":
            if StreamMode.MESSAGES_TUPLE in self._asked:
                return [Event("|".join(("messages", *namespace)), payload)]
            return self._message(*payload)
        if mode == "values" and not namespace:
            self.last_values = payload
        if mode not in self._asked:
            return []
        if mode == "checkpoints":
            payload = _without_caller(payload)
        if mode == "debug" and payload["type"] == "checkpoint":
            payload = {**payload, "payload": _with_checkpoints(_without_caller(payload["payload"]))}
        return [Event("|".join((mode, *namespace)), payload)]

    def callback(self, event: dict[str, Any]) -> list[Event]:
        """What one of LangChain's own events says."""
        return [] if _HIDDEN in event.get("tags", ()) else [Event("events", event)]

    def _message(self, message: BaseMessage, metadata: dict[str, Any]) -> list[Event]:
        """Mode ``messages``: metadata once per message, then the message as far as it has come, never namespaced."""
        key = str(message.id)
        told = [] if key in self._growing else [Event("messages/metadata", {key: {"metadata": metadata}})]
        if not isinstance(message, BaseMessageChunk):
            self._growing[key] = message
            return [*told, Event("messages/complete", [message])]
        before = self._growing.get(key)
        grown = before + message if isinstance(before, BaseMessageChunk) else message
        assert isinstance(grown, BaseMessageChunk)
        self._growing[key] = grown
        return [*told, Event("messages/partial", [message_chunk_to_message(grown)])]


def _without_caller(payload: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint whose configs do not show the run's creator, who may have tokens there: others read it as well."""
    return {**payload, **{name: _anonymous(payload.get(name)) for name in ("config", "parent_config")}}


def _anonymous(config: dict[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    told = config["configurable"]
    return {**config, "configurable": {name: ANONYMOUS.get(name, value) for name, value in told.items()}}


def _with_checkpoints(payload: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint in ``debug`` names itself and its parent also the way that clients send them back."""
    return {
        **payload,
        "checkpoint": _named(payload.get("config")),
        "parent_checkpoint": _named(payload.get("parent_config")),
        "tasks": [_task(task) for task in payload["tasks"]],
    }


def _task(task: dict[str, Any]) -> dict[str, Any]:
    state = task.get("state")
    if not isinstance(state, dict) or "configurable" not in state:
        return task
    return {**{k: v for k, v in task.items() if k != "state"}, "checkpoint": _named(state)}


def _named(config: dict[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    names = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
    return {name: config["configurable"][name] for name in names if name in config["configurable"]}
