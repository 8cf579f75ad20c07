"""Shapes of assistants."""

from typing import Any

from pydantic import Field

from deerflow.api.wire.body import Shape
from deerflow.api.wire.times import iso
from deerflow.domain.assistants import Assistant


class AssistantSearch(Shape):
    """Body of a search."""

    graph_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    limit: int = Field(default=10, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, lt=2**31)


def present_assistant(assistant: Assistant) -> dict[str, Any]:
    """An assistant as clients read it."""
    return {
        "assistant_id": str(assistant.assistant_id),
        "graph_id": assistant.graph_id,
        "config": assistant.config,
        "context": assistant.context,
        "metadata": assistant.metadata,
        "name": assistant.name,
        "created_at": iso(assistant.created_at),
        "updated_at": iso(assistant.updated_at),
        "version": assistant.version,
        "description": assistant.description,
    }
