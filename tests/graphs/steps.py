"""Four steps; each waits ``pause`` seconds and while it is held, then writes a line into the file ``trace``."""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    trace: str
    pause: float
    done: Annotated[list[str], operator.add]


def is_held(state, name):
    """Whether the file beside the state's ``trace`` names it; a test writes that file, and takes it away."""
    try:
        return bool(state.get("trace")) and Path(state["trace"] + ".hold").read_text() == name
    except FileNotFoundError:
        return False


def _step(name):
    async def step(state: State):
        get_stream_writer()({"step": name})
        await asyncio.sleep(state.get("pause", 0.0))
        while is_held(state, name):
            await asyncio.sleep(0.02)
        if state.get("trace"):
            with Path(state["trace"]).open("a") as file:
                file.write(name + "\n")
        return {"done": [name]}

    return step


builder = StateGraph(State)
previous = START
for _name in ("one", "two", "three", "four"):
    builder.add_node(_name, _step(_name))
    builder.add_edge(previous, _name)
    previous = _name
graph = builder.compile()
