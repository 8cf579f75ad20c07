"""What people know a thread by: the name that somebody gave it, else the one its graph gave, else its first question.

What a person or client has given stands in the metadata, so that everybody sees it and the next run leaves it alone.
"""

import re
from typing import Any

from deerflow.domain.messages import first_question

LONGEST = 80
"""In characters; a title is one line."""

_GIVEN = ("title", "name", "thread_name")
"""Where clients write a thread's name in its metadata."""
_ASKED = ("question", "query", "input", "prompt", "text", "content", "message", "topic", "task")
"""Fields of an input without messages that are likely to say what is wanted."""
_LOOKED_AT = 2_000
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What breaks a line, turns its direction, or no database can hold."""


def given(metadata: dict[str, Any]) -> str | None:
    """The name that somebody gave the thread."""
    return next((title for title in (line(metadata.get(name)) for name in _GIVEN) if title), None)


def of_state(values: Any) -> str | None:
    """The name that a graph has found for the conversation."""
    return line(values.get("title")) if isinstance(values, dict) else None


def of_messages(values: Any) -> str | None:
    """A title from what a person says first in a state."""
    return line(first_question(values))


def of_question(values: Any) -> str | None:
    """A title from what was asked first: what a person says in an input's messages, or another text of it."""
    if isinstance(values, str):
        return line(values)
    if not isinstance(values, dict):
        return None
    others = (value for name, value in values.items() if name != "messages")
    said = (first_question(values), *(values.get(name) for name in _ASKED), *others)
    return next((title for title in map(line, said) if title), None)


def of_run(given_input: Any, command: dict[str, Any] | None) -> str | None:
    """A title from what a run is asked; an answer to a question will do."""
    return of_question(given_input) or of_question((command or {}).get("resume"))


def line(text: Any) -> str | None:
    """A text as one short line; None when it is none, or empty."""
    if not isinstance(text, str):
        return None
    words = " ".join(_UNSEEN.sub(" ", text[:_LOOKED_AT]).split())
    if len(words) > LONGEST:
        words = f"{words[: LONGEST - 1].rstrip()}…"
    return words or None
