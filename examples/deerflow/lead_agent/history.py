"""Reading a conversation: which tool calls are still open, and which will never be answered."""

from collections.abc import Sequence

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage


def open_calls(messages: Sequence[AnyMessage]) -> list[ToolCall]:
    """The tool calls of the last answer that have no result yet; none once somebody said something else."""
    answered = set()
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            answered.add(message.tool_call_id)
        else:
            calls = message.tool_calls if isinstance(message, AIMessage) else []
            return [call for call in calls if call["id"] not in answered]
    return []


def mended(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """The conversation as providers accept it: every tool call has its result right behind it.

    A run that was cancelled between a call and its result leaves one without; here it gets one that says so.
    """
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    whole: list[AnyMessage] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            continue
        whole.append(message)
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        whole.extend(results.get(call["id"] or "") or _unanswered(call) for call in calls)
    return whole


def _unanswered(call: ToolCall) -> ToolMessage:
    return ToolMessage(
        "This call was cut short; it may or may not have been done.",
        tool_call_id=call["id"],
        name=call["name"],
        status="error",
    )
