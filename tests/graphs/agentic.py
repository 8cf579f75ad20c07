"""An agent whose model thinks, speaks and calls a tool, piece by piece; and models that speak in less orderly ways."""

import asyncio

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, ToolRuntime, tools_condition
from langgraph.stream import StreamChannel, StreamTransformer
from pydantic import Field

USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def _call(**fields):
    return AIMessageChunk("", tool_call_chunks=[{"id": None, "name": None, "args": None, "index": 2, **fields}])


CALLING = [
    AIMessageChunk([{"type": "reasoning", "reasoning": "Let me ", "index": 0}]),
    AIMessageChunk([{"type": "reasoning", "reasoning": "add.", "index": 0}]),
    AIMessageChunk([{"type": "text", "text": "Adding", "index": 1}]),
    _call(id="c1", name="add", args=""),
    _call(args='{"a": 1, '),
    _call(args='"b": 2}'),
    AIMessageChunk("", usage_metadata=USAGE),
]
ANSWERING = [AIMessageChunk("It is "), AIMessageChunk("three.")]


class Speaking(BaseChatModel):
    """Says what it was given, piece by piece; ``breaks``: and then fails."""

    pieces: list[AIMessageChunk] = Field(default_factory=list)
    breaks: bool = False

    @property
    def _llm_type(self) -> str:
        return "speaking"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("Said at once"))])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for piece in self.pieces:
            yield ChatGenerationChunk(message=piece.model_copy(deep=True))
            await asyncio.sleep(0)
        if self.breaks:
            raise ValueError("The model hangs up")


@tool
async def add(a: int, b: int, runtime: ToolRuntime) -> str:
    """Add two numbers."""
    get_stream_writer()({"adding": [a, b]})
    runtime.emit_output_delta("almost")
    return str(a + b)


async def agent(state: MessagesState):
    """Calls ``add`` once, then says what came of it."""
    pieces = ANSWERING if isinstance(state["messages"][-1], ToolMessage) else CALLING
    return {"messages": [await Speaking(pieces=pieces).ainvoke(state["messages"])]}


def _agent(**options):
    builder = StateGraph(MessagesState).add_node(agent).add_node("tools", ToolNode([add]))
    builder.add_edge(START, "agent").add_conditional_edges("agent", tools_condition).add_edge("tools", "agent")
    return builder.compile(**options)


def alone(node, **options):
    """A graph of one node."""
    return StateGraph(MessagesState).add_node(node).add_edge(START, node.__name__).compile(**options)


async def duet(state: MessagesState):
    """Two models speak at the same time."""
    voices = [Speaking(pieces=[AIMessageChunk(f"{word}{i} ") for i in range(2)]) for word in ("la", "lu")]
    return {"messages": await asyncio.gather(*(voice.ainvoke("sing") for voice in voices))}


async def impatient(state: MessagesState):
    """Does not listen to the end."""
    piece = await anext(Speaking(pieces=ANSWERING).astream("go on"))
    return {"messages": [AIMessage(piece.content, id="cut")]}


async def breaking(state: MessagesState):
    """Its model fails while it speaks."""
    return {"messages": [await Speaking(pieces=ANSWERING, breaks=True).ainvoke("go on")]}


class Masking(StreamTransformer):
    """Hides the number from who reads along, drops updates, and counts the pieces of text."""

    required_stream_modes = ("messages",)

    def init(self):
        self._pieces = StreamChannel("pieces")
        self._count = 0
        return {"pieces": self._pieces}

    def process(self, event):
        if event["method"] != "messages":
            return event["method"] != "updates"
        delta = event["params"]["data"][0].get("delta", {})
        if "text" in delta:
            self._count += 1
            self._pieces.push({"count": self._count})
            delta["text"] = delta["text"].replace("three", "***")
        return True


graph = _agent()
masked = _agent(transformers=[Masking])
