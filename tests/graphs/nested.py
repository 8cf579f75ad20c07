"""A graph within a graph."""

import operator
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


async def inner(state: State):
    return {"log": ["inner"]}


child = StateGraph(State).add_node(inner).add_edge(START, "inner").compile()
graph = StateGraph(State).add_node("child", child).add_edge(START, "child").compile()
