"""Content blocks: the shapes in which providers' pieces come, as the v2 protocol tells them."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage

from deerflow.graphs.content import Telling

Piece = AIMessageChunk


def tell(*pieces: AIMessageChunk) -> list[dict[str, Any]]:
    """All that is said of a message that comes in these pieces."""
    telling = Telling("m1")
    told = [telling.begin(pieces[0])]
    for piece in pieces:
        told += telling.go_on(piece)
    return told + list(telling.end())


def finished(*pieces: AIMessageChunk) -> list[dict[str, Any]]:
    """Its blocks in the end."""
    return [data["content"] for data in tell(*pieces) if data["event"] == "content-block-finish"]


def deltas(*pieces: AIMessageChunk) -> list[tuple[int, dict[str, Any]]]:
    """What was added to which block."""
    return [(data["index"], data["delta"]) for data in tell(*pieces) if data["event"] == "content-block-delta"]


def call(**fields: Any) -> AIMessageChunk:
    """A piece of a tool call."""
    return Piece("", tool_call_chunks=[{"id": None, "name": None, "args": None, "index": 0, **fields}])


CASES = {
    "text in strings": ([Piece("a"), Piece(""), Piece("b")], [{"type": "text", "text": "ab"}]),
    "text in blocks with an index": (
        [Piece([{"type": "text", "text": t, "index": 3}]) for t in "ab"],
        [{"type": "text", "text": "ab", "index": 3}],
    ),
    "two texts": (
        [Piece([{"type": "text", "text": t, "index": i}]) for i, t in enumerate("ab")],
        [{"type": "text", "text": t, "index": i} for i, t in enumerate("ab")],
    ),
    "a signature that comes after the reasoning": (
        [
            Piece([{"type": "reasoning", "reasoning": "hm", "index": 0}]),
            Piece([{"type": "reasoning", "extras": {"signature": "s"}, "index": 0}]),
        ],
        [{"type": "reasoning", "reasoning": "hm", "index": 0, "extras": {"signature": "s"}}],
    ),
    "a call whose index is also the text's": (
        [Piece([{"type": "text", "text": "a", "index": 0}]), call(id="c", name="f", args="{}")],
        [{"type": "text", "text": "a", "index": 0}, {"type": "tool_call", "id": "c", "name": "f", "args": {}}],
    ),
    "text and a piece of a call at once": (
        [
            Piece("a", tool_call_chunks=[{"id": "c", "name": "f", "args": '{"x', "index": 0}]),
            Piece("b", tool_call_chunks=[{"id": None, "name": None, "args": '": 1}', "index": 0}]),
        ],
        [{"type": "text", "text": "ab"}, {"type": "tool_call", "id": "c", "name": "f", "args": {"x": 1}}],
    ),
    "two calls, one after the other and mixed": (
        [
            call(id="c", name="f", args="{", index=0),
            call(id="d", name="g", args="{", index=1),
            call(args="}", index=1),
            call(args="}", index=0),
        ],
        [{"type": "tool_call", "id": i, "name": n, "args": {}} for i, n in (("c", "f"), ("d", "g"))],
    ),
    "a call without arguments": (
        [call(id="c", name="f")],
        [{"type": "tool_call", "id": "c", "name": "f", "args": {}}],
    ),
    "a name that comes late": (
        [call(id="c", args="{}"), call(name="f")],
        [{"type": "tool_call", "id": "c", "name": "f", "args": {}}],
    ),
    "the last piece of a call that is marked as the last": (
        [
            call(id="c", name="f", args='{"x"'),
            Piece("", tool_call_chunks=[{"id": None, "name": None, "args": ": 1}", "index": 0}], chunk_position="last"),
        ],
        [{"type": "tool_call", "id": "c", "name": "f", "args": {"x": 1}}],
    ),
    "arguments that are no JSON": (
        [call(id="c", name="f", args="{oops")],
        [
            {
                "type": "invalid_tool_call",
                "id": "c",
                "name": "f",
                "args": "{oops",
                "error": "The arguments are not JSON",
            }
        ],
    ),
}


@pytest.mark.parametrize(("pieces", "blocks"), CASES.values(), ids=CASES)
def test_pieces_become_blocks(pieces: list[AIMessageChunk], blocks: list[dict[str, Any]]) -> None:
    """Whatever the pieces are, each block comes to its end complete, and its beginning is told once."""
    assert finished(*pieces) == blocks
    starts = [data["index"] for data in tell(*pieces) if data["event"] == "content-block-start"]
    assert starts == list(range(len(blocks)))


@pytest.mark.parametrize(("pieces", "blocks"), CASES.values(), ids=CASES)
def test_what_is_added_makes_up_what_is_there_in_the_end(
    pieces: list[AIMessageChunk], blocks: list[dict[str, Any]]
) -> None:
    """A client that only listens to deltas has the same text as one that waits for the end."""
    grown: dict[int, str] = {}
    for index, delta in deltas(*pieces):
        grown[index] = grown.get(index, "") + next(value for key, value in delta.items() if key != "type")
    for index, block in enumerate(blocks):
        if block["type"] in {"text", "reasoning"}:
            assert grown.get(index, "") == block[block["type"]]


def test_a_picture_is_sent_once_it_is_there() -> None:
    """Its data is no part of its beginning."""
    picture = {"type": "image", "base64": "AAAA", "mime_type": "image/png", "index": 0}
    told = tell(Piece([picture]))
    assert [data["event"] for data in told] == [
        "message-start", "content-block-start", "content-block-finish", "message-finish"
    ]  # fmt: skip
    assert told[2]["content"] == picture
    assert "base64" not in told[1]["content"]


def test_usage_adds_up_and_the_end_says_why_it_ended() -> None:
    """Providers send usage with any piece."""
    pieces = [
        Piece("a", usage_metadata={"input_tokens": 1, "output_tokens": 0, "total_tokens": 1}),
        Piece("", usage_metadata={"input_tokens": 0, "output_tokens": 2, "total_tokens": 2}),
        Piece("", response_metadata={"finish_reason": "stop"}),
    ]
    assert tell(*pieces)[-1] == {
        "event": "message-finish",
        "id": "m1",
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        "metadata": {"finish_reason": "stop"},
    }


def test_the_beginning_names_model_and_provider_where_they_are_known() -> None:
    """Unregistered ones are not made up."""
    known = Piece("a", response_metadata={"model_provider": "acme", "model_name": "m"})
    assert tell(known)[0]["metadata"] == {"provider": "acme", "model": "m"}
    assert tell(Piece("a"))[0] == {"event": "message-start", "role": "ai", "id": "m1"}


def test_a_whole_message_is_told_like_one_that_grew() -> None:
    """With the calls that could not be read, too."""
    invalid = {"type": "invalid_tool_call", "id": "d", "name": "g", "args": "{", "error": "no"}
    calls = [{"type": "tool_call", "id": "c", "name": "f", "args": {"x": 1}}]
    message = AIMessage("hi", tool_calls=calls, invalid_tool_calls=[invalid])
    told = list(Telling("m1").whole(message))
    assert [data["content"] for data in told if data["event"] == "content-block-finish"] == [
        {"type": "text", "text": "hi"}, *calls, invalid
    ]  # fmt: skip
    assert told[3] == {
        "event": "content-block-start",
        "id": "m1",
        "index": 1,
        "content": {"type": "tool_call", "id": "c", "name": "f", "args": {}},
    }


def test_a_tool_s_message_says_whose_call_it_answers() -> None:
    """Its role is the tool's."""
    told = list(Telling("m1").whole(ToolMessage("3", tool_call_id="c1")))
    assert told[0] == {"event": "message-start", "role": "tool", "id": "m1", "tool_call_id": "c1"}
    assert told[2]["delta"] == {"type": "text-delta", "text": "3"}


def test_every_event_names_its_message() -> None:
    """Beside another message of its namespace also in the way that JavaScript's client goes by."""
    alone, shared = Telling("m1"), Telling("m1")
    shared.shared = True
    told = [list(telling.whole(AIMessage("hi"))) for telling in (alone, shared)]
    assert all(data["id"] == "m1" for data in told[0] + told[1])
    assert [data.get("run_id") for data in told[0]] == [None] * 5
    assert [data.get("run_id") for data in told[1]] == [None, *["m1"] * 4]
