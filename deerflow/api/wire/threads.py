"""Shapes of threads."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field, field_validator

from deerflow.api.wire.body import Metadata, Shape
from deerflow.api.wire.times import iso
from deerflow.domain.ids import parse_id
from deerflow.domain.threads import Thread, ThreadFilter
from deerflow.domain.words import ThreadStatus
from deerflow.errors import Invalid

_COLUMNS = {
    "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "status", "config", "values", "error",
    "interrupts",
}  # fmt: skip


class ThreadCreate(Shape):
    """Body of a thread's creation."""

    thread_id: UUID | None = None
    metadata: Metadata | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    ttl: Any = None
    supersteps: list[Any] | None = None

    @field_validator("thread_id", mode="before")
    @classmethod
    def _canonical(cls, value: Any) -> UUID | None:
        """The same spelling that the routes read; a UUID has others."""
        found = parse_id(value) if isinstance(value, str) else None
        if value is not None and found is None:
            raise ValueError("Invalid thread ID: must be a UUID")
        return found

    def refuse_what_comes_later(self) -> None:
        """Raise Invalid for what a later release will carry out."""
        for name in ("ttl", "supersteps"):
            if getattr(self, name):
                raise Invalid(f"{name} is not supported by this release; leave the field out")


class ThreadPatch(Shape):
    """Body of a change: metadata is merged key by key."""

    metadata: Metadata | None = None
    ttl: Any = None

    def refuse_what_comes_later(self) -> None:
        """Raise Invalid for what a later release will carry out."""
        if self.ttl:
            raise Invalid("ttl is not supported by this release; leave the field out")


class ThreadWanted(Shape):
    """Which threads are looked for."""

    ids: list[UUID] | None = None
    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None
    status: ThreadStatus | None = None

    def to_filter(self) -> ThreadFilter:
        """The same for storage."""
        ids = None if self.ids is None else tuple(self.ids)
        return ThreadFilter(ids=ids, status=self.status, metadata=self.metadata, values=self.values)


class ThreadSearch(ThreadWanted):
    """Body of a search."""

    limit: int = Field(default=10, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, lt=2**31)
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[str] | None = None
    extract: dict[str, str] | None = None

    def refuse_what_comes_later(self) -> None:
        """Raise Invalid for what a later release will carry out, and for columns that no thread has."""
        if self.extract:
            raise Invalid("extract is not supported by this release; leave the field out")
        if unknown := [name for name in self.select or [] if name not in _COLUMNS]:
            raise Invalid(f"Invalid select columns: {unknown}. Expected: {sorted(_COLUMNS)}")

    def shown(self, thread: Thread) -> dict[str, Any]:
        """A thread with the columns that were asked for."""
        whole = present_thread(thread)
        return {name: whole.get(name) for name in self.select} if self.select else whole


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
