"""A factory that takes its time: it waits while the file that ``configurable.hold`` names is there."""

import asyncio
from pathlib import Path
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    said: str


def say(state: State):
    return {"said": "started"}


async def make(config: RunnableConfig):
    held = config.get("configurable", {}).get("hold")
    if held:
        Path(held).with_suffix(".opened").touch()
    while held and Path(held).exists():
        await asyncio.sleep(0.02)
    return StateGraph(State).add_node(say).add_edge(START, "say").compile()
