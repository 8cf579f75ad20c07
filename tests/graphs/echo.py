"""Tells how it was called; ``wide`` tells how many of its nodes ran at the same time."""

import asyncio
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime


class Context(TypedDict, total=False):
    colour: str


class State(TypedDict, total=False):
    said: Any
    told: dict[str, Any]


def tell(state: State, config: RunnableConfig, runtime: Runtime[Context]):
    configurable = {name: value for name, value in config["configurable"].items() if not name.startswith("__")}
    told = {
        "configurable": configurable,
        "metadata": dict(config["metadata"]),
        "tags": config.get("tags"),
        "recursion_limit": config.get("recursion_limit"),
        "context": runtime.context,
    }
    return {"told": told}


graph = StateGraph(State, context_schema=Context).add_node(tell).add_edge(START, "tell").compile()


def larger(one: int, other: int) -> int:
    return max(one, other)


class Wide(TypedDict, total=False):
    running: Annotated[int, larger]


_running = [0]


def _node(name: str):
    async def node(state: Wide):
        _running[0] += 1
        most = _running[0]
        await asyncio.sleep(0.1)
        _running[0] -= 1
        return {"running": most}

    node.__name__ = name
    return node


builder = StateGraph(Wide)
for letter in "abcd":
    builder.add_node(letter, _node(letter))
    builder.add_edge(START, letter)
wide = builder.compile()
