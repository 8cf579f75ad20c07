"""Nodes that are hard to stop: ``kind`` chooses a sleeping thread, a coroutine that swallows its cancel, or worse.

Those that take ``seconds`` take longer while they are held.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TypedDict

from langgraph.graph import START, StateGraph
from steps import is_held


class State(TypedDict, total=False):
    kind: str
    seconds: float
    trace: str
    said: str


def _trace(state: State, line: str) -> None:
    if state.get("trace"):
        with Path(state["trace"]).open("a") as file:
            file.write(line + "\n")


def in_thread(state: State):
    _trace(state, "thread started")
    time.sleep(state["seconds"])
    while is_held(state, "in_thread"):
        time.sleep(0.02)
    _trace(state, "thread ended")
    return {"said": "from the thread"}


async def swallowing(state: State):
    _trace(state, "swallow started")
    ends = time.monotonic() + state["seconds"]
    while time.monotonic() < ends or is_held(state, "swallowing"):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            _trace(state, "swallowed")
    _trace(state, "swallow ended")
    return {"said": "after the cancel"}


async def poison(state: State):
    _trace(state, "poison")
    os.kill(os.getpid(), signal.SIGKILL)


async def quitting(state: State):
    sys.exit("a node wants to end the process")


def quitting_in_thread(state: State):
    sys.exit("a node wants to end the process")


async def cancelling_itself(state: State):
    raise asyncio.CancelledError


async def closing_itself(state: State):
    raise GeneratorExit


def closing_itself_in_thread(state: State):
    raise GeneratorExit


async def patient(state: State):
    _trace(state, "patient started")
    try:
        await asyncio.sleep(state["seconds"])
        while is_held(state, "patient"):
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        _trace(state, "patient cancelled")
        raise
    return {"said": "patiently"}


nodes = (
    *(in_thread, swallowing, patient, poison, quitting, quitting_in_thread),
    *(cancelling_itself, closing_itself, closing_itself_in_thread),
)
builder = StateGraph(State)
for node in nodes:
    builder.add_node(node.__name__, node)
builder.add_conditional_edges(START, lambda state: state["kind"], [node.__name__ for node in nodes])
graph = builder.compile()

_outer = StateGraph(State).add_node("inside", graph)
inside = _outer.add_edge(START, "inside").compile()
