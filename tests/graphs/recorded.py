"""Four small graphs that behave alike on every server, for streams recorded from another one."""

import operator
from typing import Annotated, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph, add_messages
from langgraph.types import interrupt


class Reciter(BaseChatModel):
    """Says the same three tokens to everybody."""

    @property
    def _llm_type(self) -> str:
        return "reciter"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("one two three"))])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("one ", "two ", "three"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(text))
            if run_manager:
                await run_manager.on_llm_new_token(text, chunk=chunk)
            yield chunk


class State(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    log: Annotated[list[str], operator.add]


async def speak(state: State, config: RunnableConfig):
    """Streams a message whose id the server's run decides."""
    get_stream_writer()({"said": "speak"})
    return {"messages": [await Reciter().ainvoke(state["messages"], config)], "log": ["speak"]}


async def note(state: State):
    """Returns a whole message with an id of its own."""
    get_stream_writer()("noted")
    return {"messages": [AIMessage("noted", id="note-1")], "log": ["note"]}


async def ask(state: State):
    return {"log": [interrupt({"question": "ok?"})]}


async def fail(state: State):
    get_stream_writer()("about to fail")
    raise ValueError("boom happened")


def chain(*nodes, **named):
    """A compiled graph whose nodes run one after the other."""
    steps = {**{node.__name__: node for node in nodes}, **named}
    builder = StateGraph(State)
    before = START
    for name, node in steps.items():
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
    return builder.compile()


plain = chain(speak, note)
subgraph = chain(note, child=chain(speak))
interrupting = chain(note, ask, speak)
failing = chain(note, fail)
