"""Two nodes ask at the same time; a third says what they heard."""

import operator
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    note: str


def left(state: State):
    return {"log": ["left:" + interrupt("left?")]}


def right(state: State):
    return {"log": ["right:" + interrupt("right?")]}


def done(state: State):
    return {"log": ["done"]}


graph = (
    StateGraph(State)
    .add_node(left)
    .add_node(right)
    .add_node(done)
    .add_edge(START, "left")
    .add_edge(START, "right")
    .add_edge(["left", "right"], "done")
    .compile()
)
