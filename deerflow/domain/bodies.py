"""Request bodies as JSON: what none of them may be, whatever it is about."""

from typing import Any

import orjson

from deerflow.errors import Invalid

_MOST_DEPTH = 100
"""What a body may nest. Stored and shown again it lies some levels deeper, and JSON writers stop at 254."""


class NotJson(Invalid):
    """A text is not JSON from ``line`` and ``column`` on, both counted from 1."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__(f"not JSON: line {line}, column {column}")
        self.line, self.column = line, column


def read_json(text: str) -> Any:
    """The JSON that a person has typed, under the rules of bodies; NotJson says where it ends to be any."""
    raw = text.encode("utf-8", "replace")
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NotJson(error.lineno, error.colno) from error
    return parsed(raw)


def parsed(raw: bytes) -> Any:
    """The JSON of a body, an empty one is ``{}``; Invalid names what is wrong with it.

    NUL, which Postgres refuses in text, becomes U+FFFD.
    """
    try:
        found = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError as error:
        raise Invalid("Invalid JSON in request body") from error
    if _nests_deeper(found, _MOST_DEPTH):
        raise Invalid(f"The request body nests deeper than {_MOST_DEPTH} levels")
    return _without_nul(found)


def _nests_deeper(value: Any, most: int) -> bool:
    """Whether objects and arrays lie within each other more than *most* times; found without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        inner = (child for each in level for child in (each.values() if isinstance(each, dict) else each))
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    return value
