"""The thread's title, made from its first exchange."""

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.constants import TAG_NOSTREAM

from lead_agent.prompts import TITLE

_MOST_WORDS = 6
_MOST_CHARACTERS = 80
_MOST_READ = 1_000  # characters of each side


async def write_title(model: BaseChatModel, messages: Sequence[AnyMessage]) -> str:
    """A short title; its making is no part of the conversation and is not streamed."""
    question = next((m.text for m in messages if isinstance(m, HumanMessage)), "")
    answer = next((m.text for m in reversed(messages) if isinstance(m, AIMessage)), "")
    asked = HumanMessage(f"{TITLE}\n\nUser: {question[:_MOST_READ]}\n\nAssistant: {answer[:_MOST_READ]}")
    said = await model.with_config(tags=[TAG_NOSTREAM]).ainvoke([asked])
    words = said.text.strip().strip("\"'*#“”").split()
    return " ".join(words)[:_MOST_CHARACTERS] or " ".join(question.split()[:_MOST_WORDS])
