"""Assistants: a graph with a configuration of its own, kept version by version."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from deerflow.domain.claims import believed, configured
from deerflow.domain.principal import SYSTEM, Principal
from deerflow.errors import BadRequest, Forbidden, Invalid

_NAMESPACE = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_CONFIG: dict[str, tuple[Callable[[Any], bool], str]] = {
    "tags": (lambda value: isinstance(value, list) and all(isinstance(e, str) for e in value), "a list of texts"),
    "metadata": (lambda value: isinstance(value, dict), "an object"),
    "configurable": (lambda value: isinstance(value, dict), "an object"),
    "recursion_limit": (_is_count, "a whole number from 1"),
    "max_concurrency": (_is_count, "a whole number from 1"),
    "run_name": (lambda value: isinstance(value, str), "a text"),
}
"""What a config may say, and what each has to be."""
_WHERE = {"checkpoint_id", "checkpoint_ns", "checkpoint_map"}
"""Where a run starts, which is not an assistant's to say."""


@dataclass(frozen=True)
class Assistant:
    """One assistant in the version in force. ``context_schema``: of a system assistant, once a worker has told it."""

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


@dataclass(frozen=True)
class AssistantLine:
    """An assistant as lists to choose from show it, without what may be large. ``description``: its beginning."""

    assistant_id: UUID
    graph_id: str
    name: str
    description: str | None


@dataclass(frozen=True)
class AssistantVersion:
    """What an assistant was, or is, in one version."""

    assistant_id: UUID
    version: int
    owner: str
    graph_id: str
    name: str
    description: str | None
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class AssistantSpec:
    """What a client says of an assistant. None, and an empty ``config``: not said."""

    graph_id: str | None = None
    name: str | None = None
    description: str | None = None
    config: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AssistantFilter:
    """Which assistants are looked for: all that is given has to hold.

    ``name`` may stand anywhere in theirs, whatever its case; ``metadata`` has to be contained.
    """

    graph_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None


def config_of(said: dict[str, Any]) -> dict[str, Any]:
    """What a person has written as an assistant's config, as far as it is theirs to say; Invalid names what is not.

    The same as the API takes (``RunConfig``), but for a form.
    """
    kept = {name: said[name] for name in _CONFIG if said.get(name) is not None}
    for name, value in kept.items():
        is_good, what = _CONFIG[name]
        if not is_good(value):
            raise Invalid(f"config.{name}: must be {what}")
    if "configurable" in kept:
        own = configured(kept["configurable"])
        kept["configurable"] = {name: each for name, each in own.items() if name not in _WHERE}
    if "metadata" in kept:
        kept["metadata"] = believed(kept["metadata"])
    return kept


def may_change(assistant: Assistant, caller: Principal) -> bool:
    """Whether it is this caller's to change."""
    return assistant.owner != SYSTEM or caller.administers


def system_assistant_id(graph_id: str) -> UUID:
    """The id of a graph's own assistant; every LangGraph server derives the same one."""
    return uuid5(_NAMESPACE, graph_id)


def first_content(spec: AssistantSpec) -> dict[str, Any]:
    """What version 1 of a new assistant says."""
    config, context = _settled(spec, {}, {})
    return {
        "graph_id": spec.graph_id,
        "name": spec.name or "Untitled",
        "description": spec.description,
        "config": config,
        "context": context,
        "metadata": spec.metadata,
    }


def next_content(before: Assistant, change: AssistantSpec) -> dict[str, Any]:
    """What the next version says: what the change does not name stays, and metadata are merged key by key."""
    config, context = _settled(change, before.config, before.context)
    return {
        "graph_id": change.graph_id or before.graph_id,
        "name": before.name if change.name is None else change.name,
        "description": before.description if change.description is None else change.description,
        "config": config,
        "context": context,
        "metadata": before.metadata | change.metadata,
    }


def require_change(assistant: Assistant, caller: Principal, graph_id: str | None) -> None:
    """Raise Forbidden, or BadRequest, for a change of a system assistant that is not to be; *graph_id*: its new graph.

    Its id is made of its graph's name, by which everybody runs it.
    """
    if assistant.owner != SYSTEM:
        return
    if not caller.administers:
        raise Forbidden(
            f"Assistant {assistant.assistant_id} is the system's, and only administrators change it; "
            f"create one of your own for the graph '{assistant.graph_id}'"
        )
    if graph_id not in (None, assistant.graph_id):
        raise BadRequest(
            f"Assistant {assistant.assistant_id} is the one of the graph '{assistant.graph_id}' and stays it; "
            f"create another one for '{graph_id}'"
        )


def require_removable(assistant: Assistant) -> None:
    """Raise Forbidden for a system assistant: the next start would make it again."""
    if assistant.owner == SYSTEM:
        raise Forbidden(
            f"Assistant {assistant.assistant_id} is the system's and goes with its graph: "
            f"take '{assistant.graph_id}' out of langgraph.json instead"
        )


def _settled(
    said: AssistantSpec, config: dict[str, Any], context: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Config and context after what was said; ``configurable`` and context stand for each other when one is given."""
    configurable = (said.config or {}).get("configurable")
    config = said.config or config
    if said.context:
        config = {**config, "configurable": configured(said.context)}
    context = configurable or context if said.context is None else said.context
    return config, context
