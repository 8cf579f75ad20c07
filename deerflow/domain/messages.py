"""Messages as clients and graphs write them, read for people: who says what, whatever shape it has.

A message is a dict (LangChain's, OpenAI's, or a serialized object), a pair of role and text, or a bare text, which is
a person's. Its content is a text, or blocks of which some are text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

_ROLES = {
    "human": "human",
    "user": "human",
    "humanmessage": "human",
    "humanmessagechunk": "human",
    "ai": "ai",
    "assistant": "ai",
    "aimessage": "ai",
    "aimessagechunk": "ai",
    "tool": "tool",
    "function": "tool",
    "toolmessage": "tool",
    "system": "system",
    "developer": "system",
    "systemmessage": "system",
}
_PAIR = 2


@dataclass(frozen=True)
class Message:
    """One message. ``role``: human, ai, tool, system, or what it calls itself. ``content`` is as it was written."""

    role: str
    content: Any
    name: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """What of it is text."""
        return "\n\n".join(text for text in texts(self.content) if text)

    @property
    def shown(self) -> str:
        """All of it in one text: what is no text by its kind (``[image]``), or as JSON."""
        if isinstance(self.content, list | tuple):
            return "\n".join(_shown(block) for block in self.content)
        return "" if self.content is None else _text_of(self.content)


def messages_of(values: Any) -> list[Message]:
    """The messages of a state, or of a run's input; none where it has no such thing."""
    found = values.get("messages") if isinstance(values, dict) else None
    if isinstance(found, list | tuple) and not _is_pair(found):
        return [message for message in map(read, found) if message is not None]
    message = read(found)
    return [] if message is None else [message]


def first_question(values: Any) -> str:
    """What a person says first in there; empty when nobody says anything. Looks no further than that."""
    found = values.get("messages") if isinstance(values, dict) else None
    several = found if isinstance(found, list | tuple) and not _is_pair(found) else [found]
    for each in several:
        message = read(each)
        if message is not None and message.role == "human" and message.text.strip():
            return message.text
    return ""


def read(value: Any) -> Message | None:
    """One message; None when it is none."""
    if isinstance(value, str):
        return Message("human", value)
    if _is_pair(value):
        return Message(_role(value[0]), value[1])
    if not isinstance(value, dict):
        return None
    if value.get("type") == "constructor" and isinstance(value.get("kwargs"), dict):
        kind = value["id"][-1] if isinstance(value.get("id"), list) and value["id"] else ""
        value = {**value["kwargs"], "type": kind}
    role = value.get("role") or value.get("type")
    if not isinstance(role, str):
        return None
    name = value.get("name")
    return Message(_role(role), value.get("content"), name if isinstance(name, str) else None, _tool_calls(value))


def texts(content: Any) -> Iterator[str]:
    """The texts of a message's content."""
    if isinstance(content, str):
        yield content
    for block in content if isinstance(content, list | tuple) else ():
        if isinstance(block, str):
            yield block
        elif isinstance(block, dict) and isinstance(block.get("text"), str):
            yield block["text"]


def _shown(block: Any) -> str:
    found = next(texts([block]), None)
    if found is not None:
        return found
    kind = block.get("type") if isinstance(block, dict) else None
    return f"[{kind}]" if isinstance(kind, str) else _text_of(block)


def _text_of(content: Any) -> str:
    return content if isinstance(content, str) else orjson.dumps(content, default=str).decode()


def _tool_calls(value: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    calls = value.get("tool_calls")
    return tuple(call for call in calls if isinstance(call, dict)) if isinstance(calls, list) else ()


def _is_pair(value: Any) -> bool:
    """Whether it is a role and what it says: ``["user", "hello"]``; two texts that are no role and text are two."""
    is_two = isinstance(value, list | tuple) and len(value) == _PAIR
    return is_two and isinstance(value[0], str) and value[0].lower() in _ROLES and not isinstance(value[1], dict)


def _role(name: Any) -> str:
    return _ROLES.get(str(name).lower(), str(name))
