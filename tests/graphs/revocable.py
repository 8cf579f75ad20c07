"""A question in a subgraph, then a step that can be held up: for runs that are rolled back in the middle.

``hold`` names a file: while it is there the step waits. ``broken`` names one: while it is there the step fails.
"""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    ask: bool
    hold: str
    broken: str
    trace: str
    heard: str
    big: dict


class Talk(TypedDict, total=False):
    ask: bool
    heard: str
    said: Annotated[list[str], operator.add]


def first(state: State):
    return {"log": ["first"], "big": {"round": len(state.get("log", []))}}


def question(state: Talk):
    return {"heard": "heard " + interrupt("ok?") if state.get("ask") else "unasked", "said": ["question"]}


def after(state: Talk):
    return {"said": ["after"]}


async def hold(state: State):
    if state.get("trace"):
        with Path(state["trace"]).open("a") as file:
            file.write("hold\n")
    if state.get("broken") and Path(state["broken"]).exists():
        raise ValueError("still broken")
    while state.get("hold") and Path(state["hold"]).exists():
        await asyncio.sleep(0.02)
    return {"log": [state["heard"], "held"]}


def last(state: State):
    return {"log": ["last"]}


def _child(**options):
    builder = StateGraph(Talk).add_node(question).add_node(after)
    return builder.add_edge(START, "question").add_edge("question", "after").compile(**options)


def _parent(child):
    builder = StateGraph(State).add_node(first).add_node("child", child).add_node(hold).add_node(last)
    builder.add_edge(START, "first").add_edge("first", "child").add_edge("child", "hold").add_edge("hold", "last")
    return builder.compile()


plain = _parent(_child())
stateful = _parent(_child(checkpointer=True))
