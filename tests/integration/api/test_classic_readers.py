"""Classic streams of a run that speaks the v2 protocol."""

from typing import Any

import orjson
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.events.log import encode, log_key
from tests.factories import LOCAL_USER, finish_run, make_running
from tests.sse import Frame, parse

TEXT = {"event": "content-block-delta", "id": "m1", "index": 0, "delta": {"type": "text-delta", "text": "hi"}}

SAID: list[tuple[str, Any]] = [
    ("metadata", {"run_id": "r", "attempt": 1}),
    ("v2:checkpoints", {"namespace": [], "data": {"id": "c", "step": 0, "source": "loop"}}),
    ("v2:values", {"namespace": [], "data": {"messages": []}}),
    ("v2:messages", {"namespace": [], "data": TEXT, "node": "answer"}),
    ("v2:messages", {"namespace": ["child:1"], "data": TEXT, "node": "answer"}),
    ("v2:input.requested", {"namespace": [], "data": {"interrupt_id": "i", "payload": "ok?"}}),
    ("error", {"error": "ValueError", "message": "boom"}),
]


def _said(backend: Backend) -> Run:
    run = make_running(backend, LOCAL_USER)
    entries = [encode(name, orjson.dumps(data), 1_795_333_203_641) for name, data in SAID]
    backend.log._redis.rpush(log_key(run.run_id), *entries)
    assert finish_run(backend, run, events_upto=len(entries))
    return run


def _frames(web: FlaskClient, run: Run, query: str = "", after: str = "-1") -> list[Frame]:
    path = f"/threads/{run.thread_id}/runs/{run.run_id}/stream{query}"
    body = web.get(path, headers={"Last-Event-ID": after}).get_data()
    return [parse(block) for block in body.split(b"\r\n\r\n") if block]


def test_they_tell_what_classic_clients_know(web: FlaskClient, backend: Backend) -> None:
    """In the same places, so that a cursor is good for both protocols."""
    frames = _frames(web, _said(backend))
    assert [(frame.event, frame.id) for frame in frames] == [
        ("metadata", 1), ("values", 3), ("messages", 4), ("values", 6), ("error", 7)
    ]  # fmt: skip
    chunk, metadata = frames[2].data
    assert (chunk["type"], chunk["id"], chunk["content"]) == ("AIMessageChunk", "m1", "hi")
    assert metadata == {"langgraph_node": "answer"}
    assert frames[3].data == {"__interrupt__": [{"value": "ok?", "id": "i"}]}


def test_they_go_on_and_filter_as_with_any_run(web: FlaskClient, backend: Backend) -> None:
    """By cursor and by ``stream_mode``."""
    run = _said(backend)
    assert [frame.id for frame in _frames(web, run, after="3")] == [4, 6, 7]
    assert [frame.id for frame in _frames(web, run, "?stream_mode=messages-tuple")] == [1, 4, 7]
