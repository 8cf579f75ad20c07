"""The loop of model and tools: how it streams, what a thread keeps, and how it goes on from a checkpoint."""

import asyncio
import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatResult
from langgraph.checkpoint.memory import InMemorySaver
from lead_agent.agent import build_graph
from lead_agent.config import Config, load_config
from lead_agent.fake_model import DeterministicModel
from lead_agent.history import mended
from lead_agent.title import write_title

from deerflow import project
from deerflow.graphs.registry import Graphs
from tests.integration.example.conftest import EXAMPLE
from tests.integration.example.talking import Thread


def test_the_loop_streams(thread: Thread) -> None:
    """Words one by one, a tool call in pieces, its result, and an answer that uses it."""
    heard = thread.say("calculate 2*(3+4)", thinking_enabled=False)
    question, answer = heard.messages[1], heard.messages[-1]
    first = [chunk for chunk in heard.chunks() if chunk.id == question.id]
    assert sum(bool(chunk.text) for chunk in first) > 5
    pieces = [piece for chunk in first for piece in chunk.tool_call_chunks]
    assert [piece["name"] for piece in pieces if piece["name"]] == ["calculator"]
    assert len(pieces) > 3
    assert json.loads("".join(piece["args"] or "" for piece in pieces)) == {"expression": "2*(3+4)"}
    assert question.tool_calls[0]["args"] == {"expression": "2*(3+4)"}
    assert [message.type for message in heard.messages] == ["human", "ai", "tool", "ai"]
    assert "2*(3+4) = 14" in answer.text
    whole = AIMessageChunk("")
    for chunk in heard.chunks():
        whole = whole + chunk if chunk.id == answer.id else whole
    assert whole.text == answer.text
    assert answer.usage_metadata["total_tokens"] > answer.usage_metadata["output_tokens"] > 0


def test_several_requests(thread: Thread) -> None:
    """One after the other, each in its own step; a file keeps the lines that were meant for it."""
    heard = thread.say("calculate 1+1, then write file drafts/a.md: one\ntwo; three\nread file drafts/a.md")
    assert heard.called == [["calculator"], ["write_file"], ["read_file"]]
    assert heard.results[-1].text == "one\ntwo; three"


def test_search(thread: Thread) -> None:
    """The note that is about it comes first; a question counts as a search; what is nowhere is said to be so."""
    assert thread.say("search for checkpoints").results[0].text.startswith("Checkpoints (checkpoints.md): ")
    assert thread.say("What is a subagent?").results[0].text.startswith("Subagents (subagents.md): ")
    assert thread.say("search for time travel branch").results[0].text.startswith("Checkpoints (checkpoints.md): Time")
    assert thread.say("search for zebras").results[0].text == "No note fits."


def test_title(thread: Thread) -> None:
    """The first exchange names the thread, silently; later ones leave the name alone."""
    heard = thread.say("Calculate 2*(3+4) and tell me what you think of it")
    assert heard.state["title"] == "Calculate 2*(3+4) and tell me what"
    assert {chunk.id for chunk in heard.chunks()} == {m.id for m in heard.messages if m.type == "ai"}
    assert thread.say("hello").state["title"] == heard.state["title"]


def test_a_title_is_not_worth_a_failed_run(caplog: pytest.LogCaptureFixture) -> None:
    """When the model cannot write a title, the question's first words are one, and the log says why."""

    class Failing(DeterministicModel):
        async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
            raise RuntimeError("no quota")

    title = asyncio.run(write_title(Failing(), [HumanMessage("what is there to do in this town"), AIMessage("much")]))
    assert title == "what is there to do in"
    assert "no quota" in caplog.text


def test_without_a_model_it_says_so(config: Config) -> None:
    """The stand-in tells that it is one, why, and what it understands with the tools on offer."""
    alone = config.model_copy(update={"models": load_config({}).models})
    thread = Thread(build_graph(alone, {}).copy(update={"checkpointer": InMemorySaver()}))
    text = thread.say("hello").text
    assert "no language model but a deterministic stand-in" in text
    assert "gpt: OPENAI_API_KEY is not set" in text
    assert "calculate 2*(3+4)" in text
    assert "research" not in text
    assert "research" in thread.say("hello", subagent_enabled=True).text


def test_the_same_again(config: Config) -> None:
    """The same question gets the same answer, calls included."""

    def texts() -> list[Any]:
        heard = Thread(build_graph(config, {}).copy(update={"checkpointer": InMemorySaver()})).say("calculate 1+1")
        return [(m.type, m.text, [c["args"] for c in getattr(m, "tool_calls", [])]) for m in heard.messages]

    assert texts() == texts()


def test_whoever_does_not_stream_gets_the_same() -> None:
    """invoke, ainvoke and astream of the deterministic model agree."""
    model = DeterministicModel(pause_seconds=0, thinking=True)

    async def streamed() -> AIMessageChunk:
        whole = AIMessageChunk("")
        async for chunk in model.astream("hello"):
            whole += chunk
        return whole

    answers: list[AIMessage] = [model.invoke("hello"), asyncio.run(model.ainvoke("hello")), asyncio.run(streamed())]
    seen = [(a.text, a.usage_metadata, a.additional_kwargs["reasoning_content"]) for a in answers]
    assert seen[0] == seen[1] == seen[2]


def test_a_cancelled_call_is_told() -> None:
    """A call without a result, as a cancel leaves it, gets one behind it that providers accept."""
    call = {"name": "calculator", "args": {}, "id": "a", "type": "tool_call"}
    other = {**call, "id": "b"}
    done = ToolMessage("2", tool_call_id="b")
    whole = mended([HumanMessage("1"), AIMessage("", tool_calls=[call, other]), done, HumanMessage("2")])
    assert [message.type for message in whole] == ["human", "ai", "tool", "tool", "human"]
    assert [getattr(message, "tool_call_id", None) for message in whole[2:4]] == ["a", "b"]
    assert whole[2].status == "error"


def test_going_on_from_a_checkpoint(thread: Thread) -> None:
    """A run that stopped before its tools goes on from there, also in another process: nothing is kept in memory."""

    async def half() -> None:
        config: Any = {"configurable": {"thread_id": thread.id}}
        given = {"messages": [HumanMessage("research threads, runs and streams; calculate 6*7")]}
        context = {"subagent_enabled": True}
        stream = thread.graph.astream(given, config, context=context, interrupt_before=["tools"])
        assert [part async for part in stream]

    asyncio.run(half())
    heard = asyncio.run(thread.run(None, {"subagent_enabled": True}))
    assert [result.name for result in heard.results] == ["task", "task", "task", "calculator"]
    assert "6*7 = 42" in heard.text


def test_many_threads_at_once(thread: Thread) -> None:
    """Fifty conversations in one process keep their files and their answers apart."""
    threads = [Thread(thread.graph) for _ in range(50)]

    async def talk(index: int, one: Thread) -> tuple[str, str]:
        words = f"write file drafts/a.md: {index}; read file drafts/a.md; calculate {index}+1"
        heard = await one.run({"messages": [HumanMessage(words)]}, {"thinking_enabled": index % 2 == 0})
        return heard.results[1].text, heard.results[2].text

    async def all_of_them() -> list[tuple[str, str]]:
        return await asyncio.gather(*(talk(index, one) for index, one in enumerate(threads)))

    assert asyncio.run(all_of_them()) == [(str(i), f"{i}+1 = {i + 1}") for i in range(50)]


def test_the_server_can_load_it() -> None:
    """langgraph.json names it, and every node is there in a drawing."""
    graphs = Graphs.load(project.load(EXAMPLE / "langgraph.json"))
    assert graphs.broken == {}
    drawn = build_graph(load_config({}), {}).get_graph()
    assert set(drawn.nodes) == {"__start__", "model", "approve", "tools", "title", "__end__"}
