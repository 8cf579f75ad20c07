"""Anything a graph can hold becomes JSON, in the words that LangGraph's clients expect."""

import ipaddress
import re
import zoneinfo
from collections import UserDict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import orjson
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, ToolMessage
from langgraph.errors import GraphRecursionError
from langgraph.types import Interrupt, Send
from pydantic import BaseModel

from deerflow.graphs import jsonable

Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - the untyped kind is what is tested


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@dataclass
class Point:
    x: int
    near: "list[Point]" = field(default_factory=list)


class Model(BaseModel):
    at: datetime
    inner: Point


class Opaque:
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC), "2024-01-02T03:04:05.123456+00:00"),
        (datetime(2024, 1, 2, 3, 4, 5, 123456), "2024-01-02T03:04:05.123456"),  # noqa: DTZ001 - naive on purpose
        (date(2024, 1, 2), "2024-01-02"),
        (time(1, 2, 3), "01:02:03"),
        (timedelta(seconds=5), 5.0),
        (timezone(timedelta(hours=1), "one"), "one"),
        (zoneinfo.ZoneInfo("Europe/Berlin"), "Europe/Berlin"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/x"), "/x"),
        (PurePosixPath("/x"), "/x"),
        (ipaddress.ip_address("::1"), "::1"),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (Colour.RED, "red"),
        (Number.ONE, 1),
        (re.compile("a+"), "a+"),
        (b"abc", "YWJj"),
        (bytearray(b"abc"), "YWJj"),
        ({1}, [1]),
        (frozenset({1}), [1]),
        (deque([1, 2]), [1, 2]),
        ((1, 2), [1, 2]),
        (Pair(1, 2), {"left": 1, "right": 2}),
        (Point(1, [Point(2)]), {"x": 1, "near": [{"x": 2, "near": []}]}),
        (
            Model(at=datetime(2024, 1, 2, tzinfo=UTC), inner=Point(1)),
            {"at": "2024-01-02T00:00:00+00:00", "inner": {"x": 1, "near": []}},
        ),
        (UserDict(a=1), {"a": 1}),
        ({1: "a", None: "b", Colour.RED: "c", False: "d"}, {"1": "a", "null": "b", "red": "c", "false": "d"}),
        ({(1, 2): "tuple key"}, {"(1, 2)": "tuple key"}),
        (Decimal("1.5"), 1.5),
        (Decimal(2), 2),
        (Decimal("NaN"), None),
        (float("nan"), None),
        (float("inf"), None),
        (2**53, 2**53),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, float(-(2**63))),
        (2**70, float(2**70)),
        (10**400, None),
        (str, None),
        (Opaque, None),
        (Opaque(), None),
        (Send("node", {"a": (1,)}), {"node": "node", "args": {"a": [1]}}),
        (ValueError("told"), {"error": "ValueError", "message": "told"}),
        (
            Interrupt(value={"q": 1}, id="i1"),
            {"value": {"q": 1}, "id": "i1", "response_schema": None},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_kinds(value: Any, expected: Any) -> None:
    """Each kind has one form, alone and inside of others, also when the encoder needs the slow way."""
    for wrapped, unwrap in (
        (value, lambda found: found),
        ({"deep": [value]}, lambda found: found["deep"][0]),
        ([value, "lone \ud800 surrogate"], lambda found: found[0]),
    ):
        assert unwrap(orjson.loads(jsonable.dumps(wrapped))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\0b", "a\ufffdb"),
        (r"spelled \u0000", r"spelled \u0000"),
        ("backslash \\\0", "backslash \\\ufffd"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("é漢😀 \u2028 \r\n", "é漢😀 \u2028 \r\n"),
    ],
    ids=["NUL", "spelled NUL", "backslash and NUL", "surrogate", "any other"],
)
def test_text(text: str, expected: str) -> None:
    """Text stays as it is, but for NUL, which Postgres refuses, and half characters; so do keys."""
    assert jsonable.to_plain({text: [text]}) == {expected: [expected]}


def test_one_line() -> None:
    """JSON never holds a line break, so that an event is one ``data`` line."""
    assert not re.search(rb"[\r\n]", jsonable.dumps({"a\r\nb": "c\nd\r"}))


def test_depth_and_cycles() -> None:
    """What nests beyond reason, itself included, is cut off and does not fail."""
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert jsonable.to_plain(cycle)[0] == 1
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = [deep]
    jsonable.dumps(deep)


def test_messages() -> None:
    """A message has the keys that clients read; a chunk says that it is one."""
    human, ai, chunk, tool, remove = jsonable.to_plain(
        [
            HumanMessage("hi", id="h"),
            AIMessage("", id="a", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c"}]),
            AIMessageChunk("tok", id="a"),
            ToolMessage("done", tool_call_id="c", id="t"),
            RemoveMessage(id="h"),
        ]
    )
    common = {"content", "additional_kwargs", "response_metadata", "type", "name", "id"}
    assert all(set(m) >= common for m in (human, ai, chunk, tool, remove))
    assert [m["type"] for m in (human, ai, chunk, tool, remove)] == ["human", "ai", "AIMessageChunk", "tool", "remove"]
    assert ai["tool_calls"] == [{"name": "f", "args": {"x": 1}, "id": "c", "type": "tool_call"}]
    assert set(ai) >= {"invalid_tool_calls", "usage_metadata"}
    assert set(chunk) >= {"tool_call_chunks", "chunk_position"}
    assert (tool["tool_call_id"], tool["status"]) == ("c", "success")


class OurOwnError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("told"), "told"),
        (KeyError("k"), "'k'"),
        (TimeoutError("late"), "late"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "'utf-8' codec can't decode byte 0xff in position 0: bad"),
        (GraphRecursionError("too deep"), "too deep"),
        (OurOwnError("a secret"), "An internal error occurred"),
        (OSError("a path"), "An internal error occurred"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors(error: Exception, message: str) -> None:
    """Errors written for callers are told; the text of any other is kept back."""
    assert jsonable.describe_error(error) == {"error": type(error).__name__, "message": message}


class SpeechlessError(ValueError):
    def __str__(self) -> str:
        raise SpeechlessError


def test_an_error_that_has_no_fit_text_is_told_all_the_same() -> None:
    """A row has to hold it, and whoever reads the row: it is neither without end nor what no database takes."""
    assert jsonable.describe_error(SpeechlessError())["error"] == "SpeechlessError"
    assert jsonable.describe_error(ValueError("a\0b \ud800"))["message"] == "a\ufffdb ?"
    message = jsonable.describe_error(ValueError("x" * 1_000_000))["message"]
    assert (len(message), message[-2:]) == (20_001, "x…")


def test_interrupts_in_state() -> None:
    """Thread and state show an interrupt without a schema that nobody set."""
    assert jsonable.interrupt_in_state(Interrupt(value=1, id="i")) == {"id": "i", "value": 1}
