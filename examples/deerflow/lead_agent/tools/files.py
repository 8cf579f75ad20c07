"""File tools on the thread's workspace, and which of their calls a human has to approve."""

import asyncio
from typing import Any

from langchain_core.messages import ToolCall
from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.prebuilt import ToolRuntime

from lead_agent.config import WorkspaceLimits
from lead_agent.tools.workspace import Workspace, parse_path

_DRAFTS = "drafts"


def needs_approval(call: ToolCall) -> bool:
    """Whether a human decides: a delete, and a write outside ``drafts/``. What must fail needs no one."""
    if call["name"] not in ("write_file", "edit_file", "delete_file"):
        return False
    try:
        top, *below = parse_path(str(call["args"].get("path", "")))
    except ToolException:
        return False
    return call["name"] == "delete_file" or not (top == _DRAFTS and below)


def file_tools(limits: WorkspaceLimits) -> list[BaseTool]:
    """The tools; each works on the files of the thread that it is called in."""

    def workspace(runtime: ToolRuntime[Any, Any]) -> Workspace:
        return Workspace(str(runtime.config.get("configurable", {}).get("thread_id", "")), limits)

    @tool
    async def list_files(runtime: ToolRuntime[Any, Any]) -> str:
        """List the files of this conversation."""
        sizes = await asyncio.to_thread(workspace(runtime).sizes)
        return "\n".join(f"{path} ({size:,} bytes)" for path, size in sizes.items()) or "There are no files yet."

    @tool
    async def read_file(path: str, runtime: ToolRuntime[Any, Any]) -> str:
        """Read a file of this conversation."""
        return await asyncio.to_thread(workspace(runtime).read, path)

    @tool
    async def write_file(path: str, content: str, runtime: ToolRuntime[Any, Any]) -> str:
        """Write a whole file. In drafts/ you are free; elsewhere a human approves first."""
        await asyncio.to_thread(workspace(runtime).write, path, content)
        return f"Wrote {path} ({len(content.encode('utf-8', 'replace')):,} bytes)."

    @tool
    async def edit_file(path: str, old: str, new: str, runtime: ToolRuntime[Any, Any]) -> str:
        """Replace the one place in a file that reads `old`. Outside drafts/ a human approves first."""
        return await asyncio.to_thread(_edit, workspace(runtime), path, old, new)

    @tool
    async def delete_file(path: str, runtime: ToolRuntime[Any, Any]) -> str:
        """Delete a file. A human approves first."""
        deleted = await asyncio.to_thread(workspace(runtime).delete, path)
        return f"Deleted {path}." if deleted else f"{path} is gone already."

    return [list_files, read_file, write_file, edit_file, delete_file]


def _edit(files: Workspace, path: str, old: str, new: str) -> str:
    """Edit once, even when a worker that took over does it again."""
    if not old:
        raise ToolException("Say which text to replace")
    text = files.read(path)
    places = text.count(old)
    if places == 0 and new and new in text:
        return f"{path} reads so already."
    if places != 1:
        raise ToolException(f"{path} has that text {places} times; name a text that is there once")
    files.write(path, text.replace(old, new))
    return f"Edited {path}."
