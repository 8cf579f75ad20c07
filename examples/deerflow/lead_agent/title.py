"""The thread's title, made from its first exchange."""

import logging
from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.constants import TAG_NOSTREAM

from lead_agent.prompts import TITLE

log = logging.getLogger(__name__)

_MOST_WORDS = 6
_MOST_CHARACTERS = 80
_MOST_READ = 1_000  # characters of each side


async def write_title(model: BaseChatModel, messages: Sequence[AnyMessage]) -> str:
    """A short title; its making is not streamed, and when it fails, the question's first words do."""
    question = next((m.text for m in messages if isinstance(m, HumanMessage)), "")
    answer = next((m.text for m in reversed(messages) if isinstance(m, AIMessage)), "")
    asked = HumanMessage(f"{TITLE}\n\nUser: {question[:_MOST_READ]}\n\nAssistant: {answer[:_MOST_READ]}")
    try:
        said = (await model.with_config(tags=[TAG_NOSTREAM]).ainvoke([asked])).text
    except Exception:  # whatever a provider raises: the run has its answer and shall not fail for a title
        log.warning("A title could not be written", exc_info=True)
        said = ""
    return " ".join(said.strip().strip("\"'*#“”").split())[:_MOST_CHARACTERS] or " ".join(
        question.split()[:_MOST_WORDS]
    )
