"""Shapes of threads."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field, field_validator

from deerflow.api.wire.body import Contained, Metadata, Shape, or_absent
from deerflow.api.wire.extract import Path, follow, parse_paths
from deerflow.api.wire.runs import RunCommand
from deerflow.api.wire.times import iso
from deerflow.domain.ids import parse_id
from deerflow.domain.threads import Thread, ThreadFilter, Ttl
from deerflow.domain.words import ThreadStatus, TtlStrategy
from deerflow.errors import Invalid

_COLUMNS = {
    "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "status", "config", "values", "error",
    "interrupts",
}  # fmt: skip


_LARGE = {"metadata", "config", "values", "error", "interrupts"}
_LONGEST_MINUTES = 100 * 366 * 24 * 60
_MOST_SUPERSTEPS = 1_000
_MOST_PRUNED = 1_000
_MOST_IDS = 10_000
"""Databases take some ten thousand parameters in a statement, and to write them down takes a while."""


class TimeToLive(Shape):
    """How long a thread is kept after the last that has happened on it."""

    ttl: float = Field(gt=0, le=_LONGEST_MINUTES, allow_inf_nan=False, description="Minutes")
    strategy: TtlStrategy | None = None

    def to_ttl(self) -> Ttl:
        """The same for storage."""
        return Ttl(self.ttl, self.strategy or TtlStrategy.DELETE)


def _minutes(value: Any) -> Any:
    return {"ttl": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


TtlWanted = Annotated[TimeToLive | None, BeforeValidator(_minutes)]
"""A time to live; a bare number is one in minutes."""


class NodeUpdate(Shape):
    """What one node has said in a superstep that was made elsewhere."""

    values: dict[str, Any] | list[Any] | None = None
    command: RunCommand | None = None
    as_node: str | None = None


class Superstep(Shape):
    """What the nodes of one superstep have said."""

    updates: list[NodeUpdate] = Field(min_length=1)

    def told(self) -> list[dict[str, Any]]:
        """The same as plain JSON types."""
        return [
            {
                "values": update.values,
                "command": update.command.model_dump(exclude_unset=True) if update.command else None,
                "as_node": update.as_node,
            }
            for update in self.updates
        ]


class ThreadCreate(Shape):
    """Body of a thread's creation."""

    thread_id: UUID | None = None
    metadata: Metadata | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    ttl: TtlWanted = None
    supersteps: list[Superstep] | None = Field(default=None, max_length=_MOST_SUPERSTEPS)

    @field_validator("thread_id", mode="before")
    @classmethod
    def _canonical(cls, value: Any) -> UUID | None:
        """The same spelling that the routes read; a UUID has others."""
        found = parse_id(value) if isinstance(value, str) else None
        if value is not None and found is None:
            raise ValueError("Invalid thread ID: must be a UUID")
        return found


class ThreadPatch(Shape):
    """Body of a change: metadata is merged key by key, and the time to live begins anew."""

    metadata: Metadata | None = None
    ttl: TtlWanted = None


class ThreadPrune(Shape):
    """Body of a prune."""

    thread_ids: list[UUID] = Field(max_length=_MOST_PRUNED)
    strategy: TtlStrategy = TtlStrategy.DELETE


class ThreadWanted(Shape):
    """Which threads are looked for."""

    ids: list[UUID] | None = Field(default=None, max_length=_MOST_IDS)
    metadata: Contained | None = None
    values: Contained | None = None
    status: ThreadStatus | None = None

    def to_filter(self) -> ThreadFilter:
        """The same for storage."""
        ids = None if self.ids is None else tuple(self.ids)
        return ThreadFilter(ids=ids, status=self.status, metadata=self.metadata, values=self.values)


class ThreadSearch(ThreadWanted):
    """Body of a search."""

    limit: Annotated[int, or_absent(10)] = Field(default=10, ge=1, le=1_000)
    offset: Annotated[int, or_absent(0)] = Field(default=0, ge=0, lt=2**31)
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[str] | None = None
    extract: dict[str, str] | None = None

    def unread(self) -> set[str]:
        """Columns that may be large and that nobody has asked for."""
        return set() if self.extract or not self.select else _LARGE - set(self.select)

    def shower(self) -> Callable[[Thread], dict[str, Any]]:
        """What shows a thread with the columns and values that are asked for; Invalid for those that none has."""
        if unknown := [name for name in self.select or [] if name not in _COLUMNS]:
            raise Invalid(f"Invalid select columns: {unknown}. Expected: {sorted(_COLUMNS)}")
        paths = parse_paths(self.extract or {}, reserved=_COLUMNS)
        return lambda thread: self._shown(thread, paths)

    def _shown(self, thread: Thread, paths: dict[str, Path]) -> dict[str, Any]:
        whole = present_thread(thread)
        shown = {name: whole.get(name) for name in self.select} if self.select else dict(whole)
        if paths:
            shown["extracted"] = {alias: follow(path, whole) for alias, path in paths.items()}
        return shown


def present_ttl(thread: Thread) -> dict[str, Any]:
    """How long a thread is kept, as a field of what is shown of it; none when it is kept for ever."""
    ttl, ends_at = thread.ttl, thread.ends_at
    if ttl is None or ends_at is None:
        return {}
    return {"ttl": {"strategy": ttl.strategy.value, "ttl_minutes": ttl.minutes, "expires_at": iso(ends_at)}}


def present_thread(thread: Thread) -> dict[str, Any]:
    """A thread as clients read it; before its first run has ended it has neither ``error`` nor ``interrupts``."""
    shown: dict[str, Any] = {
        "thread_id": str(thread.thread_id),
        "created_at": iso(thread.created_at),
        "updated_at": iso(thread.updated_at),
        "state_updated_at": iso(thread.state_updated_at),
        "metadata": thread.metadata,
        "status": thread.status.value,
        "config": thread.config,
        "values": thread.values,
    }
    if thread.interrupts is not None or thread.error is not None:
        shown |= {"error": thread.error, "interrupts": thread.interrupts or {}}
    return shown
