"""State of every kind that JSON has no word for; its ``messages`` may be anything."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TypedDict
from uuid import UUID

from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    values: Any
    messages: Any


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int


def fill(state: State):
    return {
        "values": {
            "when": datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC),
            "long": timedelta(seconds=5),
            "id": UUID(int=1),
            "colour": Colour.RED,
            "point": Point(1, 2),
            "bytes": b"abc",
            "set": {1},
            "tuple": (1, 2),
            "number": Decimal("1.5"),
            "nan": float("nan"),
            "path": Path("/x"),
            "nul": "a\x00b",
            "int key": {1: "one"},
        }
    }


graph = StateGraph(State).add_node(fill).add_edge(START, "fill").compile()
