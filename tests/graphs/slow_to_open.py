"""A factory that takes its time: it waits while the file that ``configurable.hold`` names is there. Or it gives up."""

import asyncio
import sys
from pathlib import Path
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    said: str


def say(state: State):
    return {"said": "started"}


async def make(config: RunnableConfig):
    how = config.get("configurable", {}).get("gives_up")
    if how == "quitting":
        sys.exit("a factory wants to end the process")
    if how == "cancelling":
        raise asyncio.CancelledError
    held = config.get("configurable", {}).get("hold")
    if held:
        Path(held).with_suffix(".opened").touch()
    while held and Path(held).exists():
        await asyncio.sleep(0.02)
    return StateGraph(State).add_node(say).add_edge(START, "say").compile()
