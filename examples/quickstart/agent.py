"""A real LangGraph graph on a model that needs no key: it streams a fixed answer, word by word.

Replace ``EchoModel()`` by any LangChain chat model to talk to a real one.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.graph import START, MessagesState, StateGraph


class EchoModel(BaseChatModel):
    """A chat model without a model: it says what it is, and repeats the question."""

    pause_seconds: float = 0.05
    """Time between two words."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _answer(self, messages: list[BaseMessage]) -> str:
        return (
            "I am a deterministic stand-in for a model: nobody gave this server a key of a provider. "
            f"You said: {messages[-1].text}"
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self._answer(messages)))])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self._answer(messages).split(" "):
            await asyncio.sleep(self.pause_seconds)
            chunk = ChatGenerationChunk(message=AIMessageChunk(word + " "))
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


async def respond(state: MessagesState) -> dict[str, list[BaseMessage]]:
    """Answer the last message."""
    return {"messages": [await EchoModel().ainvoke(state["messages"])]}


graph = StateGraph(MessagesState).add_node(respond).add_edge(START, "respond").compile()
