"""Fails in the way that the input names."""

from typing import TypedDict

from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    kind: str
    before: str


class OurOwnError(Exception):
    pass


class AbruptError(BaseException):
    pass


def first(state: State):
    return {"before": "kept"}


def fail(state: State):
    if state["kind"] == "told":
        raise ValueError("boom happened")
    if state["kind"] == "abrupt":
        raise AbruptError("not even an Exception")
    if state["kind"] == "unfit":
        raise ValueError("half a \ud83e")
    raise OurOwnError("a secret connection string")


graph = StateGraph(State).add_node(first).add_node(fail).add_edge(START, "first").add_edge("first", "fail").compile()
