"""Notes a word in the store, tells what was noted before, and takes its time, longer while it is held."""

import asyncio
from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from steps import is_held


class State(TypedDict, total=False):
    word: str
    seconds: float
    trace: str
    before: list[str]


async def note(state: State, runtime: Runtime[None]):
    assert runtime.store is not None
    before = await runtime.store.asearch(("words",))
    await runtime.store.aput(("words",), state["word"], {})
    return {"before": sorted(item.key for item in before)}


async def linger(state: State):
    await asyncio.sleep(state.get("seconds", 0.0))
    while is_held(state, "linger"):
        await asyncio.sleep(0.02)
    return {}


graph = StateGraph(State).add_node(note).add_node(linger).add_edge(START, "note").add_edge("note", "linger").compile()
