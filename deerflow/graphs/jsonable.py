"""What a graph says, as JSON: the rules that every LangGraph client expects of messages, times, bytes and the rest."""

import base64
import dataclasses
import re
from collections import deque
from collections.abc import Mapping
from datetime import date, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from deerflow.domain.text import fit, without_nul

_OPTIONS = orjson.OPT_NON_STR_KEYS
_PATHS = (PurePath, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)

_DEEPEST = 200
"""Far above what a real state nests, below the encoder's own limit of 254."""

_LEAST, _GREATEST = -(1 << 63), (1 << 64) - 1
"""The whole numbers that the encoder takes."""

_LONGEST_TEXT = 20_000
"""Characters of an error's text."""

_TOLD = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, RecursionError, TimeoutError)
"""Errors whose text is written for the caller; any other may carry what is none of their business."""


def dumps(value: Any) -> bytes:
    """JSON of anything a graph can hold. NUL becomes U+FFFD, a lone surrogate ``?``, what has no JSON form null."""
    try:
        data = orjson.dumps(value, default=_default, option=_OPTIONS)
    except (TypeError, ValueError, UnicodeEncodeError):  # lone surrogates, cycles in depth, exotic keys
        data = orjson.dumps(_plain(value), default=_default, option=_OPTIONS)
    return without_nul(data)


def to_plain(value: Any) -> Any:
    """The same value as plain JSON types."""
    return orjson.loads(dumps(value))


def describe_error(error: BaseException) -> dict[str, str]:
    """A failure as clients see it; the text of errors that were not written for them is kept back."""
    told = isinstance(error, _TOLD) or type(error).__module__.startswith("langgraph.")
    return {"error": fit(type(error).__name__), "message": _text_of(error) if told else "An internal error occurred"}


def _text_of(error: BaseException) -> str:
    """The text of an error, the beginning of a very long one: rows, logs and pages hold it, whoever wrote it."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it is the user's code, too
        return "The error does not say what it is"
    return str(fit(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"))


def interrupt_in_state(interrupt: Interrupt) -> dict[str, Any]:
    """An interrupt as thread state and threads show it."""
    shown = {"id": interrupt.id, "value": interrupt.value}
    return shown | ({"response_schema": interrupt.response_schema} if interrupt.response_schema is not None else {})


def _default(value: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line a type
    if isinstance(value, Interrupt):
        return {"value": value.value, "id": value.id, "response_schema": value.response_schema}
    if isinstance(value, type):
        return None
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Send):
        return {"node": value.node, "args": value.arg}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, set | frozenset | deque | tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, BaseException):
        return describe_error(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, timezone):
        return value.tzname(None)
    if isinstance(value, tzinfo):
        return str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, _PATHS):
        return str(value)
    if isinstance(value, int):
        return _big(value)
    return None


def _number(value: Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return int(value) if value.as_tuple().exponent == 0 else float(value)


def _big(value: int) -> float | None:
    """An int beyond 64 bits: the nearest float, since JSON readers have no more."""
    try:
        return float(value)
    except OverflowError:
        return None


def _plain(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one line a type
    """The slow way, for what the encoder refuses: text, keys, numbers and depth are made fit one by one."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, Enum):
        return _plain(value.value, depth)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return value if _LEAST <= value <= _GREATEST else _big(value)
    if value is None or isinstance(value, bool | float | date | time | UUID):
        return value
    if isinstance(value, dict):
        return {_key(k): _plain(v, depth + 1) for k, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Interrupt):
        return {f.name: _plain(getattr(value, f.name), depth + 1) for f in dataclasses.fields(value)}
    if isinstance(value, list | set | frozenset | deque) or (
        isinstance(value, tuple) and not hasattr(value, "_asdict")
    ):
        return [_plain(v, depth + 1) for v in value]
    return _plain(_default(value), depth + 1)


def _key(key: Any) -> str:
    """The encoder's own spelling of a key where it has one."""
    if isinstance(key, str) and not isinstance(key, Enum):
        return key.encode("utf-8", "replace").decode()
    try:
        return str(next(iter(orjson.loads(orjson.dumps({key: None}, option=_OPTIONS)))))
    except TypeError:
        return str(key).encode("utf-8", "replace").decode()
