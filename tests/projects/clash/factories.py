"""Every kind of factory that langgraph.json may name."""

import contextlib
import os
from pathlib import Path
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore
from langgraph_sdk.runtime import ServerRuntime


class State(TypedDict, total=False):
    made_by: str
    colour: str
    access: str
    remembered: str


def _graph(made_by, colour="", access=""):
    async def say(state: State, *, store: BaseStore):
        await store.aput(("colours",), "last", {"colour": colour})
        item = await store.aget(("colours",), "last")
        return {"made_by": made_by, "colour": colour, "access": access, "remembered": item.value["colour"]}

    return StateGraph(State).add_node(say).add_edge(START, "say")


def sync_factory(config: RunnableConfig):
    return _graph("sync", config["configurable"].get("colour", "")).compile()


async def async_factory(config):
    return _graph("async", config["configurable"].get("colour", ""))


async def runtime_factory(runtime: ServerRuntime):
    running = runtime.execution_runtime
    return _graph("runtime", running.context["colour"] if running else "", runtime.access_context).compile()


def both_factory(config: RunnableConfig, runtime: ServerRuntime):
    return _graph("both", config["configurable"]["thread_id"], runtime.access_context)


def bare_factory():
    return _graph("bare")


@contextlib.asynccontextmanager
async def managed(config: RunnableConfig):
    _note("opened")
    try:
        yield _graph("managed", config["configurable"].get("colour", "")).compile()
    finally:
        _note("closed")


def _note(line):
    if trace := os.environ.get("CLASH_TRACE"):
        with Path(trace).open("a") as file:
            file.write(line + "\n")
