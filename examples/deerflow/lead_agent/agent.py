r"""The lead agent as a graph.

::

    model --> approve --> tools --> model ... --> title --> end
          \-------------/

``model`` answers or calls tools. Calls that a human has to allow go through ``approve``; every call is a task
of its own in ``tools``, so one that is done stays done when another fails or a worker dies. Subagents go out
in waves of at most ``max_concurrent_subagents``. ``title`` names the thread once.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from langchain_core.messages import AnyMessage, SystemMessage, ToolCall
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime, get_runtime
from langgraph.types import Send

from lead_agent import prompts
from lead_agent.approval import approve
from lead_agent.config import Config, load_config
from lead_agent.context import Context, context_schema, read_context
from lead_agent.history import mended, open_calls
from lead_agent.models import Models
from lead_agent.subagents import build_subagent
from lead_agent.title import write_title
from lead_agent.tools import explain
from lead_agent.tools.calculator import calculator
from lead_agent.tools.files import file_tools, needs_approval
from lead_agent.tools.search import Index, search_tool
from lead_agent.tools.task import TASK, task_tool
from lead_agent.tools.todos import Todo, write_todos


def _newest(_: Any, new: Any) -> Any:
    return new


class State(MessagesState, total=False):
    """What a thread keeps."""

    title: str
    todos: Annotated[list[Todo], _newest]


@dataclass(frozen=True)
class LeadAgent:
    """The agent's parts and its nodes; it keeps nothing of a run."""

    config: Config
    models: Models

    @cached_property
    def schema(self) -> type[Context]:
        """The context that runs may give."""
        return context_schema(self.models)

    @cached_property
    def tools(self) -> list[BaseTool]:
        """All tools, of which a run is offered those that it switched on."""
        search = search_tool(Index.of_folder(self.config.notes))
        files = file_tools(self.config.workspace)
        reading = [calculator, search, *(tool for tool in files if tool.name in ("list_files", "read_file"))]
        subagent = build_subagent(self.models, self.schema, reading)
        return [calculator, search, *files, write_todos, task_tool(subagent)]

    def graph(self) -> CompiledStateGraph[Any, Any, Any, Any]:
        """The nodes, joined."""
        return (
            StateGraph(State, context_schema=self.schema)
            .add_node("model", self.model)
            .add_node("approve", approve)
            .add_node("tools", ToolNode(self.tools, handle_tool_errors=explain))
            .add_node("title", self.title)
            .add_edge(START, "model")
            .add_conditional_edges("model", self.after_model, ["approve", "tools", "title", END])
            .add_conditional_edges("approve", self.after_approval, ["tools", "model"])
            .add_edge("tools", "model")
            .add_edge("title", END)
            .compile(name="lead_agent")
        )

    async def model(
        self, state: State, config: RunnableConfig, runtime: Runtime[Context]
    ) -> dict[str, list[AnyMessage]]:
        """Let the run's model answer; not while calls are open, whose next wave goes out first."""
        if open_calls(state["messages"]):
            return {"messages": []}
        context = read_context(self.schema, runtime.context, config)
        chosen = self.models.build(context).bind_tools(self._offered(context))
        told = [SystemMessage(prompts.lead(context)), *mended(state["messages"])]
        return {"messages": [await chosen.ainvoke(told)]}

    async def after_model(self, state: State, config: RunnableConfig) -> str | list[Send]:
        """Where an answer leads."""
        calls = open_calls(state["messages"])
        if not calls:
            return END if state.get("title") else "title"
        if any(map(needs_approval, calls)):
            return "approve"
        return self._wave(calls, config)

    async def after_approval(self, state: State, config: RunnableConfig) -> str | list[Send]:
        """Do what was allowed; when nothing was, the model hears of it."""
        return self._wave(open_calls(state["messages"]), config) or "model"

    async def title(self, state: State, config: RunnableConfig, runtime: Runtime[Context]) -> dict[str, str]:
        """Name the thread."""
        model = self.models.build(read_context(self.schema, runtime.context, config), thinking=False)
        return {"title": await write_title(model, state["messages"])}

    def _offered(self, context: Context) -> list[BaseTool]:
        off = {write_todos.name} if not context.is_plan_mode else set()
        off |= {TASK} if not context.subagent_enabled else set()
        return [tool for tool in self.tools if tool.name not in off]

    def _wave(self, calls: list[ToolCall], config: RunnableConfig) -> list[Send]:
        """The calls that run now: all but the subagents above the limit."""
        runtime = get_runtime()  # None while somebody edits the state; a parameter would have to be there
        limit = read_context(self.schema, runtime and runtime.context, config).max_concurrent_subagents
        subagents = [call for call in calls if call["name"] == TASK][:limit]
        return [Send("tools", [call]) for call in calls if call["name"] != TASK or call in subagents]


def build_graph(config: Config, environ: Mapping[str, str]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The lead agent of a configuration; the keys of providers come from *environ*."""
    return LeadAgent(config, Models(config, environ)).graph()


graph = build_graph(load_config(os.environ), os.environ)  # noqa: TID251 - a project reads its own environment
