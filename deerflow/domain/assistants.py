"""Assistants: a graph with a configuration."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


@dataclass(frozen=True)
class Assistant:
    """One assistant in its current version. ``context_schema`` is None until a worker has told its graph's."""

    assistant_id: UUID
    owner: str
    graph_id: str
    name: str
    description: str | None
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    context_schema: dict[str, Any] | None
    version: int
    created_at: datetime
    updated_at: datetime


def system_assistant_id(graph_id: str) -> UUID:
    """The id of a graph's own assistant; every LangGraph server derives the same one."""
    return uuid5(_NAMESPACE, graph_id)
