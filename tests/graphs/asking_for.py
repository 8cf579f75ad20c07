"""Asks whatever its input says, a question each in a node of its own, and keeps what it was told."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send, interrupt


class State(TypedDict, total=False):
    asks: list[Any]
    told: Annotated[list[Any], operator.add]


async def ask(state: dict[str, Any]):
    return {"told": [interrupt(state["question"])]}


def each(state: State):
    return [Send("ask", {"question": question}) for question in state["asks"]]


graph = StateGraph(State).add_node(ask).add_conditional_edges(START, each, ["ask"]).compile()
