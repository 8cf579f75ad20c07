"""Fails in the way that the input names."""

from typing import TypedDict

from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    kind: str
    before: str


class OurOwnError(Exception):
    pass


def first(state: State):
    return {"before": "kept"}


def fail(state: State):
    if state["kind"] == "told":
        raise ValueError("boom happened")
    raise OurOwnError("a secret connection string")


graph = StateGraph(State).add_node(first).add_node(fail).add_edge(START, "first").add_edge("first", "fail").compile()
