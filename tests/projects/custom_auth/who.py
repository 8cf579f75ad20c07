"""A graph that says who calls it."""

from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    seen: dict[str, Any]


def look(_state: State, config: RunnableConfig, runtime: Runtime) -> State:
    told = config["configurable"]
    user = told["langgraph_auth_user"]
    known = runtime.server_info.user
    return {
        "seen": {
            "user": dict(user) if user else None,
            "attribute": user.team if user else None,
            "runtime": known.identity if known else None,
            "user_id": told["user_id"],
            "auth_user_id": told["langgraph_auth_user_id"],
            "permissions": told["langgraph_auth_permissions"],
        }
    }


graph = StateGraph(State).add_node(look).add_edge(START, "look").compile()


def think(_state: State) -> State:
    return {"seen": {"nothing": True}}


inner = StateGraph(State).add_node(think).add_edge(START, "think").compile()
quiet = StateGraph(State).add_node("inner", inner).add_edge(START, "inner").compile()
"""Says nothing of its caller."""


def made(config: RunnableConfig):
    """Made anew for each run and each look at a thread: of a caller whom it must know."""
    assert config["configurable"]["langgraph_auth_user"].team == "red"
    return inner
