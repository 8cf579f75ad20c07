"""Messages in the plain form that the v2 protocol gives them within values, updates and tasks."""

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk, ToolMessage, message_chunk_to_message


def normalize(value: Any) -> Any:
    """The same value with every message in it normalized; what is no container is left as it is."""
    if isinstance(value, BaseMessage):
        return _message(value)
    if isinstance(value, Mapping):
        return {key: normalize(item) for key, item in value.items()}
    if isinstance(value, list) or type(value) is tuple:
        return [normalize(item) for item in value]
    return value


def _message(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    told = {
        "type": message.type,
        "content": message.content,
        "id": message.id,
        "name": message.name,
        "response_metadata": message.response_metadata or None,
    }
    kept = {key: value for key, value in told.items() if value is not None}
    if isinstance(message, ToolMessage):
        of_tool = {"tool_call_id": message.tool_call_id, "status": message.status, "artifact": message.artifact}
        return kept | of_tool
    return kept | (_calls(message) if isinstance(message, AIMessage) else {})


def _calls(message: AIMessage) -> dict[str, Any]:
    """What an answer calls; nothing where it calls nothing."""
    made = {"tool_calls": message.tool_calls, "invalid_tool_calls": message.invalid_tool_calls}
    return {name: calls for name, calls in made.items() if calls}
