"""A project whose modules are called like the server's own."""

import os
from typing import TypedDict

import settings
from helpers import words
from langgraph.graph import START, StateGraph

import app
import deerflow
import tasks
import tests


class State(TypedDict, total=False):
    words: list[str]
    late: str


def collect(state: State):
    import tasks as late  # also an import at run time finds the project's

    found = [module.WORD for module in (app, tasks, settings, deerflow, tests, words)]
    return {"words": [*found, os.environ["CLASH_WORD"]], "late": late.WORD}


builder = StateGraph(State).add_node(collect).add_edge(START, "collect")
graph = builder.compile()
