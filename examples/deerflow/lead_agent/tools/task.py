"""Delegation: a piece of work that a subagent does with a conversation of its own."""

from typing import Annotated, Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.errors import GraphRecursionError
from langgraph.prebuilt import ToolRuntime
from langgraph.pregel import Pregel

TASK = "task"
_MOST_STEPS = 30


def task_tool(subagent: Pregel[Any, Any, Any, Any]) -> BaseTool:
    """The tool that hands work to *subagent*, a graph on messages."""

    @tool(TASK)
    async def task(
        description: Annotated[str, "The work in three to five words."],
        prompt: Annotated[str, "All that the subagent has to know."],
        runtime: ToolRuntime[Any, Any],
    ) -> str:
        """Delegate a piece of work to a subagent, which sees nothing but the prompt and answers once.

        Call it several times in one message to have the pieces done at the same time.
        """
        tell = runtime.stream_writer
        named = {"task_id": runtime.tool_call_id, "description": description}
        tell({"type": "task_started", **named})
        try:
            config = {**runtime.config, "recursion_limit": _MOST_STEPS}
            answer = await subagent.ainvoke({"messages": [HumanMessage(prompt)]}, config)
        except GraphRecursionError:
            tell({"type": "task_failed", **named})
            raise ToolException(f"The subagent did not finish within {_MOST_STEPS} steps") from None
        tell({"type": "task_completed", **named})
        return str(answer["messages"][-1].text)

    return task
