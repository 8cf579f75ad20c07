"""Asking a human before tools run, in the shape of LangChain's human-in-the-loop requests.

The interrupt's value::

    {"action_requests": [{"name": "delete_file", "args": {"path": "a.md"}, "description": "..."}],
     "review_configs": [{"action_name": "delete_file", "allowed_decisions": ["approve", "edit", "reject"]}]}

The answer has one decision for each request, in its order::

    {"decisions": [{"type": "approve"}
                   | {"type": "edit", "edited_action": {"name": "delete_file", "args": {"path": "b.md"}}}
                   | {"type": "reject", "message": "why"}]}

An answer of another shape changes nothing: the question is asked again and says what was wrong.
"""

from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langgraph.types import interrupt
from pydantic import BaseModel, Field, ValidationError

from lead_agent.history import open_calls
from lead_agent.tools.files import needs_approval

_ALLOWED = ["approve", "edit", "reject"]


class _Action(BaseModel):
    name: str
    args: dict[str, Any]


class _Approve(BaseModel):
    type: Literal["approve"]


class _Edit(BaseModel):
    type: Literal["edit"]
    edited_action: _Action


class _Reject(BaseModel):
    type: Literal["reject"]
    message: str = ""


class _Answer(BaseModel):
    decisions: list[Annotated[_Approve | _Edit | _Reject, Field(discriminator="type")]]


async def approve(state: dict[str, Any]) -> dict[str, list[AnyMessage]]:
    """Ask about the calls that need it; returns their message as decided, and results of those refused."""
    messages: list[AnyMessage] = state["messages"]
    asked = [call for call in open_calls(messages) if needs_approval(call)]
    if not asked:
        return {"messages": []}
    source = next(message for message in reversed(messages) if isinstance(message, AIMessage))
    edited: dict[str | None, ToolCall] = {}
    refused: list[AnyMessage] = []
    for call, decision in zip(asked, _ask(asked).decisions, strict=True):
        if isinstance(decision, _Edit):
            edited[call["id"]] = {**call, **decision.edited_action.model_dump()}  # type: ignore[typeddict-item]
        elif isinstance(decision, _Reject):
            refused.append(_refusal(call, decision.message))
    calls = [edited.get(call["id"], call) for call in source.tool_calls]
    return {"messages": [source.model_copy(update={"tool_calls": calls}), *refused]}


def _ask(calls: list[ToolCall]) -> _Answer:
    """Interrupt until the answer can be understood."""
    wrong = ""
    while True:
        answer = interrupt(_request(calls, wrong))
        try:
            read = _Answer.model_validate(answer)
        except ValidationError as error:
            first = error.errors()[0]
            wrong = f"The answer was not understood ({'.'.join(map(str, first['loc']))}: {first['msg']}). "
            continue
        names = [d.edited_action.name for d in read.decisions if isinstance(d, _Edit)]
        if len(read.decisions) != len(calls):
            wrong = f"There were {len(read.decisions)} decisions for {len(calls)} requests. "
        elif unknown := set(names) - {call["name"] for call in calls}:
            wrong = f"An edit cannot call {', '.join(sorted(unknown))}. "
        else:
            return read


def _request(calls: list[ToolCall], wrong: str) -> dict[str, Any]:
    names = dict.fromkeys(call["name"] for call in calls)
    return {
        "action_requests": [
            {"name": call["name"], "args": call["args"], "description": f"{wrong}{_describe(call)}"} for call in calls
        ],
        "review_configs": [{"action_name": name, "allowed_decisions": _ALLOWED} for name in names],
    }


def _describe(call: ToolCall) -> str:
    verb = {"write_file": "write", "edit_file": "change", "delete_file": "delete"}[call["name"]]
    return f"The agent wants to {verb} the file {call['args'].get('path')}."


def _refusal(call: ToolCall, reason: str) -> ToolMessage:
    said = f"A human refused {call['name']}" + (f": {reason}" if reason else ".")
    return ToolMessage(said, tool_call_id=call["id"], name=call["name"], status="error")
