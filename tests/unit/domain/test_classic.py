"""What classic readers see of a v2 run: real envelopes, read with LangChain's own message types."""

from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessageChunk, message_chunk_to_message

from deerflow.domain.classic import classic
from deerflow.domain.events import Entry
from deerflow.graphs.content import Telling

AT_MS = 1_795_333_203_641


def entry(name: str, data: Any) -> Entry:
    """An entry of a log."""
    return Entry(7, AT_MS, b"event: %s\r\ndata: %s\r\n" % (name.encode(), orjson.dumps(data)))


def read(method: str, data: Any, *namespace: str, **more: Any) -> tuple[str, Any] | None:
    """What a classic reader sees of one v2 event: name and data."""
    told = classic(entry(f"v2:{method}", {"namespace": namespace, "data": data, **more}))
    if told is None:
        return None
    assert (told.place, told.at_ms) == (7, AT_MS)
    return told.name, orjson.loads(told.data)


def test_what_is_not_of_the_protocol_is_left_as_it_is() -> None:
    """``metadata`` and ``error`` are the same in both."""
    same = entry("error", {"error": "ValueError", "message": "boom"})
    assert classic(same) is same


def test_values_and_questions_are_values() -> None:
    """A question comes as LangGraph's own streams pass it on, also out of a subgraph."""
    assert read("values", {"log": ["a"]}) == ("values", {"log": ["a"]})
    asked = {"interrupt_id": "i", "payload": {"question": "ok?"}}
    told = {"__interrupt__": [{"value": {"question": "ok?"}, "id": "i"}]}
    assert read("input.requested", asked) == ("values", told)
    assert read("input.requested", asked, "child:1") == ("values", told)


@pytest.mark.parametrize(
    ("method", "data", "namespace"),
    [
        ("values", {"log": []}, ["child:1"]),
        ("messages", {"event": "message-start", "role": "ai", "id": "m"}, ["child:1"]),
        ("messages", {"event": "message-start", "role": "tool", "id": "tool-c"}, ["tools:c"]),
        ("tools", {"event": "tool-started", "tool_call_id": "c", "tool_name": "f"}, []),
        ("lifecycle", {"event": "started"}, ["child:1"]),
        ("updates", {"log": []}, []),
        ("tasks", {"id": "t"}, []),
        ("custom", {"payload": 1}, []),
        ("checkpoints", {"id": "c"}, []),
        ("messages", {"left_out": "70000 bytes left out"}, []),
        ("input.requested", {"left_out": "70000 bytes left out"}, []),
    ],
)
def test_the_rest_is_not_for_them(method: str, data: Any, namespace: list[str]) -> None:
    """They know no such event, or did not ask for subgraphs."""
    assert read(method, data, *namespace) is None


def test_a_message_can_be_put_together_from_any_place_on() -> None:
    """Each event names its message, so the pieces add up to what the model said, with its calls and usage."""
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    pieces = [
        AIMessageChunk("Add"),
        AIMessageChunk("ing"),
        AIMessageChunk("", tool_call_chunks=[{"id": "c", "name": "add", "args": "", "index": 0}]),
        AIMessageChunk("", tool_call_chunks=[{"id": None, "name": None, "args": '{"a": 1}', "index": 0}]),
        AIMessageChunk("", usage_metadata=usage, response_metadata={"finish_reason": "stop"}),
    ]
    telling = Telling("m1")
    said = [telling.begin(pieces[0]), *(data for piece in pieces for data in telling.go_on(piece)), *telling.end()]
    read_back = [told for data in said if (told := read("messages", data, node="agent")) is not None]
    assert {name for name, _ in read_back} == {"messages"}
    assert all(metadata == {"langgraph_node": "agent"} for _, (_, metadata) in read_back)
    chunks = [AIMessageChunk(**{k: v for k, v in chunk.items() if k != "type"}) for _, (chunk, _) in read_back]
    whole = message_chunk_to_message(sum(chunks[1:], chunks[0]))
    assert whole.id == "m1"
    assert whole.content == "Adding"
    assert whole.tool_calls == [{"type": "tool_call", "id": "c", "name": "add", "args": {"a": 1}}]
    assert whole.usage_metadata == usage
    assert whole.response_metadata == {"finish_reason": "stop"}
    assert chunks[-1].chunk_position == "last"


def test_reasoning_is_a_block_of_the_content() -> None:
    """As LangChain has it in a piece of a message."""
    data = {
        "event": "content-block-delta",
        "id": "m",
        "index": 0,
        "delta": {"type": "reasoning-delta", "reasoning": "hm"},
    }
    told = read("messages", data)
    assert told is not None
    assert told[1][0]["content"] == [{"type": "reasoning", "reasoning": "hm", "index": 0}]
