"""Graphs that do as little as can be, so that what is measured is the server."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph


class State(TypedDict, total=False):
    """What the graphs without messages take: ``seconds`` to sleep or spin; ``n`` counts their nodes."""

    n: int
    seconds: float


class TokenState(MessagesState):
    """``tokens`` to say, after ``delay`` seconds."""

    tokens: int
    delay: float


class Talker(BaseChatModel):
    """A model that says its tokens as fast as it can, or with a pause of so many seconds after each."""

    tokens: int
    pause: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - the base class's signature
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word " * self.tokens))])

    async def _astream(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - the base class's signature
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for _number in range(self.tokens):
            yield ChatGenerationChunk(message=AIMessageChunk(content="word "))
            await asyncio.sleep(self.pause)  # a model's client waits for its socket between two tokens


async def count(state: State) -> State:
    """A node."""
    return {"n": state.get("n", 0) + 1}


async def nap(state: State) -> State:
    """Wait without using a processor."""
    await asyncio.sleep(state.get("seconds", 5.0))
    return await count(state)


def burn(state: State) -> State:
    """Use a processor; a plain function, so LangGraph runs it on a thread."""
    ends = time.monotonic() + state.get("seconds", 5.0)
    while time.monotonic() < ends:
        sum(range(1_000))
    return {"n": state.get("n", 0) + 1}


async def hold_up(state: State) -> State:
    """Do what no node should: wait without letting the loop go on."""
    time.sleep(state.get("seconds", 5.0))  # noqa: ASYNC251 - that is what is measured
    return await count(state)


async def talk(state: TokenState) -> dict[str, list[BaseMessage]]:
    """Say the tokens."""
    await asyncio.sleep(state.get("delay", 0.0))
    said = [chunk async for chunk in Talker(tokens=state["tokens"]).astream(state["messages"])]
    return {"messages": [AIMessage(f"{len(said)} tokens")]}


async def answer(state: MessagesState) -> dict[str, list[BaseMessage]]:
    """Say a little, whatever was said."""
    return {"messages": [await Talker(tokens=20).ainvoke(state["messages"])]}


async def ramble(state: MessagesState) -> dict[str, list[BaseMessage]]:
    """Say more than anybody waits for."""
    return {"messages": [await Talker(tokens=2_000, pause=0.05).ainvoke(state["messages"])]}


noop = StateGraph(State).add_node("count", count).add_edge(START, "count").compile()
steps = StateGraph(State).add_sequence([(f"step{n}", count) for n in range(1, 5)]).add_edge(START, "step1").compile()
five = StateGraph(State).add_sequence([(f"step{n}", count) for n in range(1, 6)]).add_edge(START, "step1").compile()
held = (
    StateGraph(State)
    .add_sequence([*((f"step{n}", count) for n in range(1, 6)), ("nap", nap)])
    .add_edge(START, "step1")
    .compile()
)
pace = StateGraph(State).add_node("nap", nap).add_edge(START, "nap").add_edge("nap", "nap").compile()
tokens = StateGraph(TokenState).add_node("talk", talk).add_edge(START, "talk").compile()
chat = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").compile()
rambling = StateGraph(MessagesState).add_node("ramble", ramble).add_edge(START, "ramble").compile()
sleep = StateGraph(State).add_node("nap", nap).add_edge(START, "nap").compile()
spin = StateGraph(State).add_node("burn", burn).add_edge(START, "burn").compile()
block = StateGraph(State).add_node("hold_up", hold_up).add_edge(START, "hold_up").compile()
