"""The agents that people choose from, and what the agent of a thread is called."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.assistants import AssistantLine, system_assistant_id
from deerflow.domain.ids import parse_id
from deerflow.domain.principal import Principal
from deerflow.storage import assistants
from deerflow.storage.database import Tx

_MOST = 200


def choices(tx: Tx, backend: Backend, caller: Principal) -> list[AssistantLine]:
    """Those that the caller sees, by name; before them the project's graphs' own, in its order."""
    order = list(backend.project.graphs)
    own = {system_assistant_id(graph_id): place for place, graph_id in enumerate(order)}
    found = assistants.lines(tx, caller, limit=_MOST)
    return sorted(found, key=lambda each: own.get(each.assistant_id, len(order)))


def agent_id(metadata: Mapping[str, Any]) -> UUID | None:
    """The agent of a thread's last run, which the thread's metadata name."""
    named = metadata.get("assistant_id")
    return parse_id(named) if isinstance(named, str) else None


def agent_of(metadata: Mapping[str, Any], names: Mapping[UUID, str]) -> str:
    """What it is called; its graph's name when it is not there any more."""
    assistant_id, graph_id = agent_id(metadata), metadata.get("graph_id")
    named = names.get(assistant_id) if assistant_id else None
    return named or (graph_id if isinstance(graph_id, str) else "")
