"""Asks a person and waits for the answer."""

import operator
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def before(state: State):
    return {"log": ["before"]}


def ask(state: State):
    return {"log": [interrupt({"question": "ok?"})]}


graph = StateGraph(State).add_node(before).add_node(ask).add_edge(START, "before").add_edge("before", "ask").compile()
