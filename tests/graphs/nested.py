"""A graph within a graph."""

import operator
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


async def inner(state: State):
    return {"log": ["inner"]}


async def ask(state: State):
    return {"log": [interrupt("inside?")]}


async def after(state: State):
    return {"log": ["after"]}


child = StateGraph(State).add_node(inner).add_edge(START, "inner").compile()
graph = StateGraph(State).add_node("child", child).add_edge(START, "child").compile()

questioner = StateGraph(State).add_node(inner).add_node(ask).add_edge(START, "inner").add_edge("inner", "ask").compile()
asking = (
    StateGraph(State)
    .add_node("child", questioner)
    .add_node(after)
    .add_edge(START, "child")
    .add_edge("child", "after")
    .compile()
)
