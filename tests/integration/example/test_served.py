"""The example behind the real server, spoken to by the unmodified SDK."""

from typing import Any

import pytest
from langgraph_sdk.errors import UnprocessableEntityError

from tests.live import Live


def run(live: Live, thread_id: str, **body: Any) -> dict[str, Any]:
    """One run to its end; the thread's values."""
    answer = live.client().runs.wait(thread_id, "agent", **body)
    assert isinstance(answer, dict)
    return answer


def said(text: str) -> dict[str, Any]:
    """Input with one message."""
    return {"messages": [{"role": "user", "content": text}]}


def test_a_run_streams(live: Live) -> None:
    """Words and pieces of a tool call arrive one by one, the title at the end."""
    client = live.client()
    thread = client.threads.create()["thread_id"]
    parts = list(
        client.runs.stream(thread, "agent", input=said("calculate 6*7"), stream_mode=["messages-tuple", "values"])
    )
    chunks = [part.data[0] for part in parts if part.event == "messages"]
    assert sum(bool(chunk["additional_kwargs"].get("reasoning_content")) for chunk in chunks) > 5
    assert sum(len(chunk.get("tool_call_chunks") or []) for chunk in chunks) > 3
    values = parts[-1].data
    assert values["title"] == "calculate 6*7"
    assert "6*7 = 42" in values["messages"][-1]["content"]


def test_context_and_approval(live: Live) -> None:
    """The context reaches the agent, also when a run waits for a human; the answer lets the file be written."""
    thread = live.client().threads.create()["thread_id"]
    context = {"is_plan_mode": True, "thinking_enabled": False}
    run(live, thread, input=said("calculate 1+1; write file notes.md: hello"), context=context)
    state = live.client().threads.get_state(thread)
    assert [todo["status"] for todo in state["values"]["todos"]] == ["in_progress", "pending"]
    assert state["tasks"][0]["interrupts"][0]["value"]["action_requests"][0]["name"] == "write_file"
    answer = {"decisions": [{"type": "approve"}]}
    values = run(live, thread, command={"resume": answer}, context=context)
    assert [todo["status"] for todo in values["todos"]] == ["completed", "completed"]
    assert (live.folder / "data" / "workspaces" / thread / "notes.md").read_text() == "hello"


@pytest.mark.parametrize(
    "context",
    [{"model_name": "nope"}, {"max_concurrent_subagents": 9}, {"reasoning_effort": "extreme"}],
    ids=lambda context: next(iter(context)),
)
def test_a_wrong_context_is_refused(live: Live, context: dict[str, Any]) -> None:
    """The context schema of the example is enough for the server to refuse a run before it exists."""
    client = live.client()
    thread = client.threads.create()["thread_id"]
    with pytest.raises(UnprocessableEntityError, match=next(iter(context))):
        client.runs.create(thread, "agent", input=said("hello"), context=context)
    assert client.runs.list(thread) == []
