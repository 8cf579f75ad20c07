"""What LangGraph Studio, agent-chat-ui and the UI of Deep Agents ask, in their order, field by field."""

import httpx

from deerflow.domain.assistants import system_assistant_id
from tests.conformance.conftest import Wire
from tests.sse import read_frames

SCHEMAS = {"input_schema", "output_schema", "state_schema", "config_schema", "context_schema"}


def test_a_studio_opens_a_project(http: httpx.Client) -> None:
    """Who the server is, which assistants it has, and what one of them looks like."""
    info = http.get("/info").json()
    assert {"version", "langgraph_py_version", "flags", "host"} == set(info)
    assert (info["flags"]["assistants"], info["flags"]["crons"], info["flags"]["langsmith"]) == (True, True, False)
    assert (info["host"]["kind"], info["host"]["project_id"]) == ("self-hosted", None)
    asked = {"metadata": {"created_by": "system"}, "limit": 1000, "offset": 0}
    found = {each["assistant_id"]: each["graph_id"] for each in http.post("/assistants/search", json=asked).json()}
    chosen = str(system_assistant_id("nested"))
    assert found[chosen] == "nested"
    assert set(http.get(f"/assistants/{chosen}/schemas").json()) == {"graph_id", *SCHEMAS}
    drawn = http.get(f"/assistants/{chosen}/graph", params={"xray": "true"}).json()
    assert "child:inner" in [node["id"] for node in drawn["nodes"]]
    assert set(http.get(f"/assistants/{chosen}/subgraphs", params={"recurse": "true"}).json()["child"]) == SCHEMAS
    assert [version["version"] for version in http.post(f"/assistants/{chosen}/versions", json={}).json()] == [1]


def test_a_studio_runs_stops_edits_and_forks(http: httpx.Client, wire: Wire) -> None:
    """A run with breakpoints and all that can be drawn of it, an edit as a node, a fork from what was before."""
    path = f"/threads/{wire.thread}"
    body = {
        "assistant_id": str(system_assistant_id("asking")),
        "input": {"log": ["in"]},
        "interrupt_before": ["before"],
    }
    body |= {"stream_mode": ["debug", "messages"], "stream_subgraphs": True, "stream_resumable": True}
    with http.stream(
        "POST", f"{path}/runs/stream", json=body, headers={"x-auth-scheme": "langsmith-api-key"}
    ) as answer:
        names = [frame.event for frame in read_frames(answer)]
    assert names[0] == "metadata"
    assert "debug" in names
    assert http.get(path).json()["status"] == "interrupted"
    before = http.post(f"{path}/history", json={"limit": 1000}).json()
    edit = {"values": {"log": ["edited"]}, "checkpoint": before[0]["checkpoint"], "as_node": "before"}
    written = http.post(f"{path}/state", json=edit).json()["checkpoint"]
    state = http.post(f"{path}/state/checkpoint", json={"checkpoint": written, "subgraphs": True}).json()
    assert (state["values"], state["next"]) == ({"log": ["in", "edited"]}, ["ask"])
    fork = {"assistant_id": "asking", "input": None, "checkpoint": before[0]["checkpoint"]}
    left = http.post(f"{path}/runs/wait", json=fork, timeout=30).json()
    assert [each["value"] for each in left["__interrupt__"]] == [{"question": "ok?"}]
    history = http.get(f"{path}/history", params={"limit": 100}).json()
    assert history[0]["checkpoint_id"] != written["checkpoint_id"]
    assert written["checkpoint_id"] in [each["checkpoint_id"] for each in history]


def test_a_chat_finds_its_threads(http: httpx.Client, wire: Wire) -> None:
    """The list at the side of a chat: by graph or assistant, last changed first, with what was said in each."""
    wire.ended("chat", input={"messages": [{"type": "human", "content": "hi", "id": "h1"}]})
    chat = str(system_assistant_id("chat"))
    for metadata in ({"graph_id": "chat"}, {"assistant_id": chat}):
        asked = {"metadata": metadata, "limit": 100, "sort_by": "updated_at", "sort_order": "desc"}
        found = http.post("/threads/search", json=asked).json()
        assert found[0]["thread_id"] == wire.thread
        assert found[0]["values"]["messages"][0]["content"] == "hi"
        assert (found[0]["status"], found[0]["interrupts"], found[0]["error"]) == ("idle", {}, None)
