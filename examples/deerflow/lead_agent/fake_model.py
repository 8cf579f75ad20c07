"""A chat model without a model: deterministic, streaming, calls tools, and says what it is.

It lets every part of the agent be tried without a key of a provider: it thinks aloud, calls tools for
requests that it recognises (see ``fake_plan``), and answers from what they returned (see ``fake_answer``).
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCallChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from lead_agent import fake_answer
from lead_agent.fake_plan import Call

_THOUGHTS = {"minimal": 1, "low": 2, "medium": 4, "high": 6}
_ARGUMENT_PIECES = 6


class DeterministicModel(BaseChatModel):
    """The same conversation gets the same answer, word by word."""

    model: str = "deterministic"
    """What it calls itself."""
    reasons: str = ""
    """Why it stands in for the models that were configured."""
    pause_seconds: float = 0.03
    """Time between two words."""
    thinking: bool = False
    reasoning_effort: Literal["minimal", "low", "medium", "high"] = "medium"

    @property
    def _llm_type(self) -> str:
        return "deterministic"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The same model, which may call these tools."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = self._chunks(messages, kwargs.get("tools") or [])
        return generate_from_stream(ChatGenerationChunk(message=chunk) for chunk in chunks)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """At the pace of a stream, for one who does not listen to it too."""
        return await agenerate_from_stream(self._astream(messages, stop, run_manager, **kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, kwargs.get("tools") or []):
            await asyncio.sleep(self.pause_seconds)
            yield ChatGenerationChunk(message=chunk)

    def _chunks(self, messages: list[BaseMessage], tools: list[dict[str, Any]]) -> Iterator[AIMessageChunk]:
        offered = [tool["function"]["name"] for tool in tools]
        turn = fake_answer.next_turn(messages, offered, name=self.model, reasons=self.reasons)
        thought = _words(" ".join(turn.thoughts[: _THOUGHTS[self.reasoning_effort]])) if self.thinking else []
        said = _words(turn.text)
        for word in thought:
            yield AIMessageChunk("", additional_kwargs={"reasoning_content": word})
        for word in said:
            yield AIMessageChunk(word)
        for chunk in _call_chunks(turn.calls, messages):
            yield AIMessageChunk("", tool_call_chunks=[chunk])
        yield AIMessageChunk(
            "",
            usage_metadata=_usage(messages, len(thought), len(said) + _ARGUMENT_PIECES * len(turn.calls)),
            response_metadata={
                "model_name": self.model,
                "finish_reason": "tool_calls" if turn.calls else "stop",
            },
            chunk_position="last",
        )


def _words(text: str) -> list[str]:
    """The text in pieces that give it back when they are joined."""
    return re.findall(r"\s*\S+\s*", text)


def _call_chunks(calls: list[Call], messages: list[BaseMessage]) -> Iterator[ToolCallChunk]:
    """Each call as providers stream it: first name and id, then its arguments' JSON in pieces."""
    place = json.dumps([len(messages), messages[-1].text, messages[-1].id])
    for index, (name, arguments) in enumerate(calls):
        digest = hashlib.sha256(f"{place}{index}{name}".encode()).hexdigest()[:16]
        yield tool_call_chunk(name=name, args="", id=f"call_{digest}", index=index)
        text = json.dumps(arguments, ensure_ascii=False)
        size = -(-len(text) // _ARGUMENT_PIECES)
        for start in range(0, len(text), size):
            yield tool_call_chunk(args=text[start : start + size], index=index)


def _usage(messages: list[BaseMessage], thought: int, said: int) -> UsageMetadata:
    """Words, where a provider counts tokens."""
    read = sum(len(message.text.split()) for message in messages)
    return UsageMetadata(
        input_tokens=read,
        output_tokens=thought + said,
        total_tokens=read + thought + said,
        output_token_details={"reasoning": thought},
    )
