"""The lead agent as a graph.

::

    model --> approve --> tools --> model ... --> title --> end
          \\-------------/

``model`` answers or calls tools. Calls that a human has to allow go through ``approve``; every call is a task of its own
in ``tools``, so one that is done stays done when another fails or a worker dies. Subagents go out in waves of at most
``max_concurrent_subagents``. ``title`` names the thread once.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage, ToolCall
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.constants import TAG_NOSTREAM
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.types import Send

from lead_agent import prompts
from lead_agent.approval import approve
from lead_agent.config import Config, load_config
from lead_agent.context import Context, context_schema, read_context
from lead_agent.history import mended, open_calls
from lead_agent.models import Models
from lead_agent.subagents import build_subagent
from lead_agent.title import write_title
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
