"""The subagent: a model and the tools that only read, in a loop, with a conversation of its own."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AnyMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime

from lead_agent.context import Context, read_context
from lead_agent.history import open_calls
from lead_agent.models import Models
from lead_agent.prompts import SUBAGENT
from lead_agent.tools import explain


def build_subagent(
    models: Models, schema: type[Context], tools: Sequence[BaseTool]
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph on messages; it has the model and the context of the run that calls it."""

    async def model(
        state: MessagesState, config: RunnableConfig, runtime: Runtime[Context]
    ) -> dict[str, list[AnyMessage]]:
        chosen = models.build(read_context(schema, runtime.context, config)).bind_tools(tools)
        return {"messages": [await chosen.ainvoke([SystemMessage(SUBAGENT), *state["messages"]])]}

    def has_calls(state: MessagesState) -> str:
        return "tools" if open_calls(state["messages"]) else END

    return (
        StateGraph(MessagesState, context_schema=schema)
        .add_node("model", model)
        .add_node("tools", ToolNode(tools, handle_tool_errors=explain))
        .add_edge(START, "model")
        .add_conditional_edges("model", has_calls, ["tools", END])
        .add_edge("tools", "model")
        .compile(name="subagent")
    )
