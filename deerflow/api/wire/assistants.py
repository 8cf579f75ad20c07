"""Shapes of assistants."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, field_validator
from typing_extensions import TypedDict

from deerflow.api.wire.body import Contained, Metadata, Shape, or_absent
from deerflow.api.wire.runs import RunConfig
from deerflow.api.wire.state import CHECKPOINT_PARTS
from deerflow.api.wire.times import iso
from deerflow.domain.assistants import Assistant, AssistantFilter, AssistantSpec, AssistantVersion
from deerflow.domain.ids import parse_id
from deerflow.errors import BadRequest, Invalid

Column = Literal[
    "assistant_id", "graph_id", "config", "context", "metadata", "name", "created_at", "updated_at", "version",
    "description",
]  # fmt: skip


class AssistantSaid(Shape):
    """What can be said of an assistant when it is made and when it is changed."""

    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    metadata: Metadata | None = None
    name: str | None = None
    description: str | None = None

    def spec_for(self, graph_id: str | None) -> AssistantSpec:
        """The same for storage."""
        config = self._config()
        if config.get("configurable") and self.context:
            raise BadRequest("Cannot specify both configurable and context. Prefer setting context alone.")
        return AssistantSpec(graph_id, self.name, self.description, config, self.context, self.metadata or {})

    def _config(self) -> dict[str, Any]:
        """Where a run starts is not an assistant's to say; without ``configurable`` none is made up."""
        if self.config is None:
            return {}
        config = self.config.given()
        configurable = {name: each for name, each in config["configurable"].items() if name not in CHECKPOINT_PARTS}
        without = {name: each for name, each in config.items() if name != "configurable"}
        return without if self.config.configurable is None else {**without, "configurable": configurable}


class AssistantCreate(AssistantSaid):
    """Body of an assistant's creation."""

    graph_id: str
    assistant_id: UUID | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None

    @field_validator("assistant_id", mode="before")
    @classmethod
    def _canonical(cls, value: Any) -> UUID | None:
        """The same spelling that the routes read; a UUID has others."""
        found = parse_id(value) if isinstance(value, str) else None
        if value is not None and found is None:
            raise ValueError("Invalid assistant ID: must be a UUID")
        return found


class AssistantPatch(AssistantSaid):
    """Body of a change: what it names replaces what was there, metadata are merged key by key."""

    graph_id: str | None = None


class AssistantWanted(Shape):
    """Which assistants are looked for."""

    graph_id: str | None = None
    name: str | None = None
    metadata: Contained | None = None

    def to_filter(self) -> AssistantFilter:
        """The same for storage."""
        return AssistantFilter(graph_id=self.graph_id, name=self.name, metadata=self.metadata)


class AssistantSearch(AssistantWanted):
    """Body of a search."""

    limit: Annotated[int, or_absent(10)] = Field(default=10, ge=1, le=1_000)
    offset: Annotated[int, or_absent(0)] = Field(default=0, ge=0, lt=2**31)
    sort_by: Literal["assistant_id", "created_at", "updated_at", "name", "graph_id"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[Column] | None = None

    def shown(self, assistant: Assistant) -> dict[str, Any]:
        """An assistant with the columns that were asked for."""
        whole = present_assistant(assistant)
        return {name: whole[name] for name in self.select} if self.select else whole


class VersionSearch(Shape):
    """Body of a look at an assistant's versions."""

    metadata: Contained | None = None
    limit: Annotated[int, or_absent(10)] = Field(default=10, ge=1, le=1_000)
    offset: Annotated[int, or_absent(0)] = Field(default=0, ge=0, lt=2**31)


class VersionWanted(Shape):
    """Body that names the version to be in force."""

    version: Annotated[int, Field(ge=1, lt=2**31, strict=True)]


class VersionShown(TypedDict):
    """A version as clients read it."""

    assistant_id: str
    graph_id: str
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    created_at: str
    version: int
    description: str | None


class AssistantShown(VersionShown):
    """An assistant as clients read it."""

    updated_at: str


class AssistantFound(TypedDict, total=False):
    """The same in a search, which may ask for some of it only."""

    assistant_id: str
    graph_id: str
    config: dict[str, Any]
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    created_at: str
    updated_at: str
    version: int
    description: str | None


class Drawing(TypedDict):
    """A graph as it can be drawn."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]


class SubgraphSchemas(TypedDict):
    """JSON schemas; null where there is none, or none that can be told."""

    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    state_schema: dict[str, Any] | None
    config_schema: dict[str, Any] | None
    context_schema: dict[str, Any] | None


class GraphSchemas(SubgraphSchemas):
    """The same of a whole graph."""

    graph_id: str


def depth_of_drawing(text: str | None) -> bool | int:
    """How many levels of subgraphs are drawn as well, as ``xray`` says: none, all, or a number."""
    told = (text or "false").lower()
    if told in {"true", "false"}:
        return told == "true"
    if re.fullmatch(r"\d{1,9}", told, re.ASCII) and int(told):
        return int(told)
    raise Invalid("Invalid xray value: must be true, false or a number above 0")


def present_version(version: AssistantVersion | Assistant) -> VersionShown:
    """A version as clients read it."""
    return {
        "assistant_id": str(version.assistant_id),
        "graph_id": version.graph_id,
        "config": version.config,
        "context": version.context,
        "metadata": version.metadata,
        "name": version.name,
        "created_at": iso(version.created_at),
        "version": version.version,
        "description": version.description,
    }


def present_assistant(assistant: Assistant) -> dict[str, Any]:
    """An assistant as clients read it."""
    return {**present_version(assistant), "updated_at": iso(assistant.updated_at)}
