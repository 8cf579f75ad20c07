"""A thread in a file: as Markdown for people to read, and what such files are called."""

import re
from datetime import UTC, datetime
from typing import Any

import orjson
from flask_babel import gettext as _

from deerflow.domain.messages import Message, messages_of
from deerflow.domain.threads import Thread

_FENCE = re.compile(r"`{3,}")
_NOT_OF_NAMES = re.compile(r"[^\w]+")
_LONGEST_NAME = 60


def file_name(title: str, ending: str, *, of: str = "") -> str:
    """A name that every system takes: words, joined by dashes. *of*: an id, whose end tells namesakes apart."""
    words = _NOT_OF_NAMES.sub("-", title).strip("-")[:_LONGEST_NAME].strip("-").lower() or "thread"
    return "-".join(part for part in (words, of[-8:]) if part) + f".{ending}"


def markdown(thread: Thread, title: str, agent: str, values: Any) -> str:
    """A thread with its messages by who says them; with its state where it has no messages."""
    said = messages_of(values)
    parts = [f"# {_plain(title)}", _facts(thread, agent)]
    parts += [_told(message) for message in said]
    if not said:
        parts += ["## " + _("State"), _fenced(_json(values), "json")] if values else [_("Nothing has been said yet.")]
    return "\n\n".join(parts) + "\n"


def _facts(thread: Thread, agent: str) -> str:
    facts = {
        _("Agent"): _plain(agent),
        _("Created"): _at(thread.created_at),
        _("Last change"): _at(thread.updated_at),
        _("Thread"): f"`{thread.thread_id}`",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _told(message: Message) -> str:
    heading = {"human": _("User"), "ai": _("Agent"), "tool": _("Tool"), "system": _("System message")}
    who = heading.get(message.role, message.role)
    named = f" · {_plain(message.name)}" if message.name else ""
    parts = [f"## {_plain(who)}{named}"]
    if message.text.strip():
        parts.append(_fenced(message.text, "") if message.role == "tool" else message.text.strip())
    parts += [_fenced(_json(block), "json") for block in _others(message.content)]
    for call in message.tool_calls:
        parts.append("**" + _("Calls the tool") + f"** `{_plain(str(call.get('name', '')))}`")
        parts.append(_fenced(_json(call.get("args")), "json"))
    return "\n\n".join(parts)


def _others(content: Any) -> list[Any]:
    """What of a content is no text."""
    if isinstance(content, list | tuple):
        return [block for block in content if not isinstance(block, str) and not _is_text(block)]
    return [] if content is None or isinstance(content, str) else [content]


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and isinstance(block.get("text"), str)


def _fenced(text: str, kind: str) -> str:
    """A block of code, in a fence that is longer than any within."""
    longest = max((len(found) for found in _FENCE.findall(text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _plain(text: str) -> str:
    """One line of a heading or list."""
    return " ".join(text.replace("`", "'").split())


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


def _at(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
