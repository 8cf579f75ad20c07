"""Two steps that leave the name of their run in the file ``trace`` and in the state; a run is held by its name."""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph
from steps import is_held


class State(TypedDict, total=False):
    trace: str
    name: str
    pause: float
    said: Annotated[list[str], operator.add]


def _step(which):
    async def step(state: State):
        line = f"{state['name']} {which}"
        with Path(state["trace"]).open("a") as file:
            file.write(line + "\n")
        await asyncio.sleep(state["pause"])
        while is_held(state, state["name"]):
            await asyncio.sleep(0.02)
        return {"said": [line]}

    return step


builder = StateGraph(State).add_node("first", _step("first")).add_node("second", _step("second"))
graph = builder.add_edge(START, "first").add_edge("first", "second").compile()
