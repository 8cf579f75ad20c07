"""Shapes of threads."""

from typing import Any, Literal
from uuid import UUID

from pydantic import field_validator

from deerflow.api.wire.body import Shape
from deerflow.api.wire.times import iso
from deerflow.domain.ids import parse_id
from deerflow.domain.threads import Thread
from deerflow.errors import Invalid


class ThreadCreate(Shape):
    """Body of a thread's creation."""

    thread_id: UUID | None = None
    metadata: dict[str, Any] | None = None
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
