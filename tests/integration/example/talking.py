"""Talking to the lead agent and noting all that is heard."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.pregel import Pregel
from langgraph.types import Command

Graph = Pregel[Any, Any, Any, Any]


@dataclass(repr=False)  # asyncio.run makes a repr of what it returns, and this one would take seconds
class Heard:
    """What one run streamed, and the thread's state behind it."""

    parts: list[tuple[tuple[str, ...], str, Any]]
    state: dict[str, Any]
    messages: list[Any]
    """Those that this run added."""

    def chunks(self, *, nested: bool = False) -> list[AIMessageChunk]:
        """What models said, word by word: the lead agent's, or with *nested* the subagents'."""
        heard = [(namespace, part[0]) for namespace, mode, part in self.parts if mode == "messages"]
        return [chunk for ns, chunk in heard if bool(ns) is nested and isinstance(chunk, AIMessageChunk)]

    @property
    def text(self) -> str:
        """The lead agent's last answer."""
        return str(self.messages[-1].text)

    @property
    def reasoning(self) -> str:
        """What the lead agent thought aloud."""
        return "".join(chunk.additional_kwargs.get("reasoning_content", "") for chunk in self.chunks())

    @property
    def called(self) -> list[list[str]]:
        """Names of the tools that were called, message by message."""
        told = [m for m in self.messages if isinstance(m, AIMessage) and m.tool_calls]
        return [[call["name"] for call in message.tool_calls] for message in told]

    @property
    def results(self) -> list[ToolMessage]:
        """What the tools returned."""
        return [message for message in self.messages if isinstance(message, ToolMessage)]

    @property
    def told(self) -> list[dict[str, Any]]:
        """Custom events."""
        return [part for _, mode, part in self.parts if mode == "custom"]

    @property
    def question(self) -> dict[str, Any] | None:
        """The value of the interrupt that the run ended with."""
        asked = [part["__interrupt__"] for _, mode, part in self.parts if mode == "updates" and "__interrupt__" in part]
        return asked[-1][0].value if asked else None


class Thread:
    """One conversation with one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.id = str(uuid.uuid4())

    def say(self, text: str, **context: Any) -> Heard:
        """One run on a message of the user."""
        return asyncio.run(self.run({"messages": [{"role": "user", "content": text}]}, context))

    def decide(self, *decisions: dict[str, Any]) -> Heard:
        """One run on the answer to an interrupt."""
        return self.resume({"decisions": list(decisions)})

    def resume(self, answer: Any) -> Heard:
        """The same with an answer of any shape."""
        return asyncio.run(self.run(Command(resume=answer), {}))

    async def run(self, given: Any, context: dict[str, Any], **configurable: Any) -> Heard:
        """One run in the modes of the SDKs' messages-tuple, updates and custom, with subgraphs."""
        config: Any = {"configurable": {"thread_id": self.id, **configurable}}
        before = len((await self.graph.aget_state(config)).values.get("messages", []))
        stream = self.graph.astream(
            given, config, context=context or None, stream_mode=["messages", "updates", "custom"], subgraphs=True
        )
        parts: list[Any] = [part async for part in stream]
        state = (await self.graph.aget_state(config)).values
        return Heard(parts, state, state["messages"][before:])

    def use(self, name: str, **arguments: Any) -> ToolMessage:
        """The result of one tool call, made as if the model had asked for it; a human allows whatever is asked."""
        call = {"name": name, "args": arguments, "id": f"call_{uuid.uuid4().hex}", "type": "tool_call"}
        return asyncio.run(self._use(call))

    async def _use(self, call: dict[str, Any]) -> ToolMessage:
        asked = {"messages": [HumanMessage("go on"), AIMessage("", tool_calls=[call])]}
        await self.graph.aupdate_state({"configurable": {"thread_id": self.id}}, asked, as_node="model")
        heard = await self.run(None, {})
        if heard.question:
            heard = await self.run(Command(resume={"decisions": [{"type": "approve"}]}), {})
        return heard.results[-1]
