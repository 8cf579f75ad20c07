"""The plan: a list that the agent writes anew whenever something in it changes."""

from typing import Annotated, Any, Literal

from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.prebuilt import ToolRuntime
from langgraph.types import Command
from pydantic import Field
from typing_extensions import TypedDict


class Todo(TypedDict):
    """One step of the plan."""

    content: str
    status: Literal["pending", "in_progress", "completed"]


@tool
async def write_todos(
    todos: Annotated[list[Todo], Field(max_length=50)], runtime: ToolRuntime[Any, Any]
) -> Command[Any]:
    """Write the whole plan anew: every step and where it stands. Have one step in progress at a time."""
    done = sum(todo["status"] == "completed" for todo in todos)
    said = ToolMessage(
        f"The plan has {len(todos)} steps, {done} completed.",
        tool_call_id=runtime.tool_call_id,
        name="write_todos",
    )
    return Command(update={"todos": todos, "messages": [said]})
