"""Three steps; what the second one does is the run's ``kind``: plain, held (by a file), asking or failing.

An answer that begins with ``hold`` holds the third one. Each step begins with a line ``run attempt step`` in the file
``trace`` of the input's folder.
"""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    folder: str
    kind: str
    name: str
    done: Annotated[list[str], operator.add]


def _trace(state: State, config: RunnableConfig, step: str) -> None:
    told = config["metadata"]
    with (Path(state["folder"]) / "trace").open("a") as file:
        file.write(f"{told['run_id']} {told['run_attempt']} {step}\n")


async def _hold(state: State, config: RunnableConfig) -> None:
    released = Path(state["folder"]) / f"{config['metadata']['run_id']}.released"
    while not released.exists():
        await asyncio.sleep(0.005)


async def one(state: State, config: RunnableConfig):
    _trace(state, config, "one")
    return {"done": [f"{state['name']}:one"]}


async def two(state: State, config: RunnableConfig):
    _trace(state, config, "two")
    if state["kind"] == "asking":
        return {"done": [f"{state['name']}:{interrupt('what?')}"]}
    if state["kind"] == "failing":
        raise ValueError("it fails")
    if state["kind"] == "held":
        await _hold(state, config)
    return {"done": [f"{state['name']}:two"]}


async def three(state: State, config: RunnableConfig):
    _trace(state, config, "three")
    if state["kind"] == "asking" and ":hold" in state["done"][-1]:
        await _hold(state, config)
    return {"done": [f"{state['name']}:three"]}


builder = StateGraph(State).add_node(one).add_node(two).add_node(three)
builder.add_edge(START, "one").add_edge("one", "two").add_edge("two", "three")
graph = builder.compile()
