"""The six keys of a run's context: each visibly changes what the lead agent does."""

from typing import Any

import pytest

from tests.integration.example.talking import Graph, Thread

TWO_THINGS = "search for threads; calculate 6*7"
THREE_TOPICS = "research threads, runs and streams"


def test_schema_names_the_models(graph: Graph) -> None:
    """The server can refuse a wrong context from the schema alone: it has all keys, types, bounds and defaults."""
    schema = graph.get_context_jsonschema()
    assert schema is not None
    keys = {name: (key["type"], key["default"], key.get("enum")) for name, key in schema["properties"].items()}
    assert keys == {
        "model_name": ("string", "swift", ["swift", "solid"]),
        "thinking_enabled": ("boolean", True, None),
        "reasoning_effort": ("string", "medium", ["minimal", "low", "medium", "high"]),
        "is_plan_mode": ("boolean", False, None),
        "subagent_enabled": ("boolean", False, None),
        "max_concurrent_subagents": ("integer", 3, None),
    }
    limit = schema["properties"]["max_concurrent_subagents"]
    assert (limit["minimum"], limit["maximum"]) == (1, 8)
    assert not schema.get("required")


def test_model_name(thread: Thread) -> None:
    """Another name, another model; the first is the default."""
    assert "“swift”" in thread.say("hello").text
    heard = thread.say("hello", model_name="solid")
    assert "“solid”" in heard.text
    assert heard.messages[-1].response_metadata["model_name"] == "solid"


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"model_name": "nope"}, "the model 'nope' is not configured; there is swift, solid"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"max_concurrent_subagents": 9}, "max_concurrent_subagents"),
        ({"max_concurrent_subagents": 0}, "max_concurrent_subagents"),
    ],
)
def test_wrong_context(thread: Thread, context: dict[str, Any], said: str) -> None:
    """A wrong value is an error that names it."""
    with pytest.raises(ValueError, match=said):
        thread.say("hello", **context)


def test_thinking_enabled(thread: Thread) -> None:
    """The model thinks aloud before it answers, in chunks of their own; or does not."""
    heard = thread.say("hello")
    thinking = [bool(chunk.additional_kwargs.get("reasoning_content")) for chunk in heard.chunks()]
    assert thinking == sorted(thinking, reverse=True)
    assert 1 < sum(thinking) < len(thinking)
    assert "The request is: 'hello'." in heard.reasoning
    assert heard.messages[-1].additional_kwargs["reasoning_content"] == heard.reasoning
    assert heard.messages[-1].usage_metadata["output_token_details"]["reasoning"] == sum(thinking)
    assert thread.say("hello", thinking_enabled=False).reasoning == ""


def test_reasoning_effort(thread: Thread) -> None:
    """More effort, more thoughts."""
    lengths = [len(thread.say("hello", reasoning_effort=e).reasoning) for e in ("minimal", "low", "medium", "high")]
    assert lengths == sorted(set(lengths))


def test_is_plan_mode(thread: Thread) -> None:
    """The plan stands in the state and is rewritten as its steps are done; without plan mode there is none."""
    plain = thread.say(TWO_THINGS)
    assert plain.called == [["search_notes"], ["calculator"]]
    assert plain.state["todos"] == []
    heard = thread.say(TWO_THINGS, is_plan_mode=True)
    assert heard.called == [["write_todos", "search_notes"], ["write_todos", "calculator"], ["write_todos"]]
    plans = [
        part["tools"]["todos"]
        for _, mode, part in heard.parts
        if mode == "updates" and "todos" in (part.get("tools") or {})
    ]
    states = [[todo["status"] for todo in plan] for plan in plans]
    assert states == [["in_progress", "pending"], ["completed", "in_progress"], ["completed", "completed"]]
    assert heard.state["todos"] == plans[-1]


def test_plan_mode_off_is_told(thread: Thread) -> None:
    """One who asks for a plan without plan mode learns which switch is missing."""
    heard = thread.say("plan calculate 1+1")
    assert heard.called == [["calculator"]]
    assert "is_plan_mode" in heard.text


def test_subagent_enabled(thread: Thread) -> None:
    """Each topic goes to a subagent, whose words stream in a namespace of its own; or the lead agent looks itself."""
    alone = thread.say(THREE_TOPICS)
    assert alone.called == [["search_notes"] * 3]
    assert not alone.chunks(nested=True)
    assert "subagent_enabled" in alone.text
    heard = thread.say(THREE_TOPICS, subagent_enabled=True)
    assert heard.called == [["task"] * 3]
    assert len({namespace for namespace, mode, _ in heard.parts if namespace and mode == "messages"}) == 3
    assert [result.status for result in heard.results] == ["success"] * 3
    assert heard.text.count("A subagent answers: In the notes: ") == 3


def at_once(told: list[dict[str, Any]]) -> int:
    """How many subagents worked at the same time at most."""
    working, most = set(), 0
    for event in told:
        working ^= {event["task_id"]}
        assert (event["task_id"] in working) is (event["type"] == "task_started")
        most = max(most, len(working))
    assert not working
    return most


@pytest.mark.parametrize(("limit", "seen"), [(1, 1), (2, 2), (8, 5)])
def test_max_concurrent_subagents(thread: Thread, limit: int, seen: int) -> None:
    """All of five subagents do their work, never more at once than allowed, and as many as allowed."""
    heard = thread.say(
        "research threads, runs, streams, tools and plans", subagent_enabled=True, max_concurrent_subagents=limit
    )
    assert at_once(heard.told) == seen
    started = [event["description"] for event in heard.told if event["type"] == "task_started"]
    assert sorted(started) == ["plans", "runs", "streams", "threads", "tools"]
    assert len(heard.results) == 5
    assert heard.text.count("A subagent answers: ") == 5


def test_subagents_use_the_context(thread: Thread) -> None:
    """A subagent answers with the model that the run chose and thinks as the run does."""
    heard = thread.say("research threads", subagent_enabled=True, model_name="solid", thinking_enabled=False)
    assert "“solid”" in "".join(chunk.text for chunk in heard.chunks(nested=True))
    assert not any(chunk.additional_kwargs for chunk in heard.chunks(nested=True))


def test_configurable_is_the_older_place(graph: Graph) -> None:
    """Keys in ``configurable`` count as well; the context wins."""
    import asyncio

    message = {"messages": [{"role": "user", "content": "hello"}]}
    first = asyncio.run(Thread(graph).run(message, {}, model_name="solid", thinking_enabled=False))
    assert "“solid”" in first.text
    assert first.reasoning == ""
    second = asyncio.run(Thread(graph).run(message, {"model_name": "swift"}, model_name="solid"))
    assert "“swift”" in second.text
