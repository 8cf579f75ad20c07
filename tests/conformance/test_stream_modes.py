"""What each stream mode says: names, order and shape of the events, read raw on both mounts."""

import re
from typing import Any

import pytest

from deerflow.api.mounts import Mount
from tests.conformance.conftest import Wire, by_mount
from tests.sse import Frame, frames_of, read_frames

CHAT = {"messages": [{"role": "user", "content": "hi", "id": "h1"}]}
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STEPS = ["one", "two", "three", "four"]


def stream(wire: Wire, mount: Mount, assistant: str, **fields: Any) -> list[Frame]:
    """A new run's stream to its end, without the ``metadata`` that it begins with."""
    path = f"{mount.prefix}/threads/{wire.thread}/runs/stream"
    with wire.http.stream("POST", path, json={"assistant_id": assistant, **fields}) as answer:
        assert answer.status_code == 200, answer.read()
        first, *rest = read_frames(answer)
    run_id = re.sub(".*/", "", answer.headers["Content-Location"])
    assert (first.event, first.data, first.id) == ("metadata", {"run_id": run_id, "attempt": 1}, 1)
    return rest


def names(frames: list[Frame]) -> list[str]:
    return [frame.event for frame in frames]


@by_mount
def test_values(wire: Wire, mount: Mount) -> None:
    """``values``: the whole state, first as the input leaves it, then after each step."""
    frames = stream(wire, mount, "steps", input={"pause": 0.0})
    assert names(frames) == ["values"] * 5
    assert [frame.data["done"] for frame in frames] == [STEPS[:n] for n in range(5)]


@by_mount
def test_updates(wire: Wire, mount: Mount) -> None:
    """``updates``: what each node returned."""
    frames = stream(wire, mount, "steps", input={"pause": 0.0}, stream_mode="updates")
    assert [(f.event, f.data) for f in frames] == [("updates", {s: {"done": [s]}}) for s in STEPS]


@by_mount
def test_custom(wire: Wire, mount: Mount) -> None:
    """``custom``: what a node wrote."""
    frames = stream(wire, mount, "steps", input={"pause": 0.0}, stream_mode=["custom"])
    assert [(f.event, f.data) for f in frames] == [("custom", {"step": s}) for s in STEPS]


@by_mount
def test_messages_tuple(wire: Wire, mount: Mount) -> None:
    """``messages-tuple`` goes out as ``messages``: each token with where it comes from; ids agree with the state's."""
    config = {"configurable": {"words": 3}}
    frames = stream(wire, mount, "chat", input=CHAT, config=config, stream_mode=["messages-tuple", "values"])
    tokens = frames_of(frames, "messages")
    final = frames_of(frames, "values")[-1]["messages"]
    assert set(names(frames)) == {"messages", "values"}
    assert "".join(chunk["content"] for chunk, _ in tokens) == "w0 w1 w2 " == final[1]["content"]
    assert {chunk["type"] for chunk, _ in tokens} == {"AIMessageChunk"}
    assert {chunk["id"] for chunk, _ in tokens} == {final[1]["id"]}
    assert (final[0]["type"], final[0]["id"], final[1]["type"]) == ("human", "h1", "ai")
    meta = tokens[0][1]
    assert (meta["langgraph_node"], meta["thread_id"], meta["graph_id"]) == ("answer", wire.thread, "chat")
    assert meta["langgraph_checkpoint_ns"].startswith("answer:")


@by_mount
def test_combined(wire: Wire, mount: Mount) -> None:
    """Several modes share one stream, in the order in which things happened."""
    frames = stream(wire, mount, "steps", input={"pause": 0.0}, stream_mode=["updates", "custom", "values"])
    assert names(frames) == ["values", *["custom", "updates", "values"] * 4]


@by_mount
def test_subgraphs(wire: Wire, mount: Mount) -> None:
    """scenario 32: with ``stream_subgraphs`` the inner graph's events carry their namespace, the root's do not."""
    fields: dict[str, Any] = {"input": {"log": []}, "stream_mode": ["values", "updates"]}
    frames = stream(wire, mount, "nested", stream_subgraphs=True, **fields)
    inner = [f for f in frames if "|" in f.event]
    assert all(re.fullmatch(rf"(values|updates)\|child:{UUID}", f.event) for f in inner)
    assert len({f.event.partition("|")[2] for f in inner}) == 1
    assert {"inner": {"log": ["inner"]}} in [f.data for f in inner]
    root = [(f.event, f.data) for f in frames if "|" not in f.event]
    assert root[-2:] == [("updates", {"child": {"log": ["inner"]}}), ("values", {"log": ["inner"]})]
    assert not [f for f in stream(wire, mount, "nested", **fields) if "|" in f.event]


@by_mount
def test_interrupt(wire: Wire, mount: Mount) -> None:
    """scenario 33: an interrupt is told within ``values``; the run is a success and its thread interrupted."""
    frames = stream(wire, mount, "asking", input={"log": []})
    assert set(names(frames)) == {"values"}
    assert frames[-1].data["log"] == ["before"]
    (told,) = frames[-1].data["__interrupt__"]
    assert told["value"] == {"question": "ok?"}
    assert re.fullmatch("[0-9a-f]{32}", told["id"])
    (run,) = wire.http.get(f"/threads/{wire.thread}/runs").json()
    assert run["status"] == "success"
    assert wire.http.get(f"/threads/{wire.thread}").json()["status"] == "interrupted"


@by_mount
def test_interrupt_in_updates(wire: Wire, mount: Mount) -> None:
    """With ``updates`` the interrupt is an update of its own."""
    frames = stream(wire, mount, "asking", input={"log": []}, stream_mode="updates")
    assert [list(f.data) for f in frames] == [["before"], ["__interrupt__"]]


@by_mount
def test_wait_for_an_interrupt(wire: Wire, mount: Mount) -> None:
    """A wait answers the values together with the question."""
    body = {"assistant_id": "asking", "input": {"log": []}}
    answer = wire.http.post(f"{mount.prefix}/threads/{wire.thread}/runs/wait", json=body).json()
    assert answer["log"] == ["before"]
    assert [told["value"] for told in answer["__interrupt__"]] == [{"question": "ok?"}]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("told", {"error": "ValueError", "message": "boom happened"}),
        ("kept back", {"error": "OurOwnError", "message": "An internal error occurred"}),
    ],
)
@by_mount
def test_failure(wire: Wire, mount: Mount, kind: str, told: dict[str, str]) -> None:
    """scenario 14: a failure ends the stream with ``error``; a text not meant for clients is kept back everywhere."""
    frames = stream(wire, mount, "faulty", input={"kind": kind})
    assert (frames[-1].event, frames[-1].data) == ("error", told)
    assert names(frames[:-1]) == ["values", "values"]
    (run,) = wire.http.get(f"/threads/{wire.thread}/runs").json()
    thread = wire.http.get(f"/threads/{wire.thread}").json()
    assert (run["status"], run["error"]) == ("error", told)
    assert (thread["status"], thread["error"]) == ("error", told)
    assert thread["values"] == {"kind": kind, "before": "kept"}
    assert wire.follow(run["run_id"])[1:] == frames
    assert "secret" not in wire.http.get(f"/threads/{wire.thread}/runs").text


@by_mount
def test_failed_wait(wire: Wire, mount: Mount) -> None:
    """A failed wait is HTTP 200 and says what failed, in the words of the mount."""
    error = {"error": "ValueError", "message": "boom happened"}
    body = {"assistant_id": "faulty", "input": {"kind": "told"}}
    answer = wire.http.post(f"{mount.prefix}/threads/{wire.thread}/runs/wait", json=body)
    expected = {
        "platform": {"__error__": error},
        "gateway": {"status": "error", "error": "boom happened", "__error__": error},
    }
    assert (answer.status_code, answer.json()) == (200, expected[mount.name])


@by_mount
def test_odd_values(wire: Wire, mount: Mount) -> None:
    """What JSON has no word for is told alike by stream, wait, thread and state."""
    frames = stream(wire, mount, "odd", input={"values": None})
    expected = {
        "when": "2024-01-02T03:04:05.123456+00:00",
        "long": 5.0,
        "id": "00000000-0000-0000-0000-000000000001",
        "colour": "red",
        "point": {"x": 1, "y": 2},
        "bytes": "YWJj",
        "set": [1],
        "tuple": [1, 2],
        "number": 1.5,
        "nan": None,
        "path": "/x",
        "nul": "a\ufffdb",
        "int key": {"1": "one"},
    }
    (run,) = wire.http.get(f"/threads/{wire.thread}/runs").json()
    assert frames[-1].data == {"values": expected}
    assert wire.http.get(f"{wire.path(run['run_id'])}/join").json() == {"values": expected}
    assert wire.http.get(f"/threads/{wire.thread}").json()["values"] == {"values": expected}
    assert wire.http.get(f"/threads/{wire.thread}/state").json()["values"] == {"values": expected}
