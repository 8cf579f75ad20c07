"""Streams a fixed answer, word by word; ``words`` and ``pause`` in the configuration decide how long it takes."""

import asyncio
from pathlib import Path

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph


class CountingModel(BaseChatModel):
    """Counts aloud."""

    words: int = 5
    pause: float = 0.0
    held: str = ""
    """It does not go beyond its fifth word while this file is there."""

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        text = "".join(f"w{i} " for i in range(self.words))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for i in range(self.words):
            await asyncio.sleep(self.pause)
            while i == 5 and self.held and Path(self.held).exists():
                await asyncio.sleep(0.02)
            chunk = ChatGenerationChunk(message=AIMessageChunk(f"w{i} "))
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


async def answer(state: MessagesState, config: RunnableConfig):
    settings = config["configurable"]
    model = CountingModel(words=settings.get("words", 5), pause=settings.get("pause", 0.0))
    return {"messages": [await model.ainvoke(state["messages"])]}


graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile()
