"""Threads: a line of state, and the rules of its status."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from deerflow.domain.words import ThreadStatus, TtlStrategy


@dataclass(frozen=True)
class Ttl:
    """How long a thread is kept after the last that has happened on it, and what becomes of it then."""

    minutes: float
    strategy: TtlStrategy = TtlStrategy.DELETE


@dataclass(frozen=True)
class Thread:
    """One thread. ``values``, ``interrupts`` and ``error`` are those of the last run that ended; None before."""

    thread_id: UUID
    owner: str
    status: ThreadStatus
    metadata: dict[str, Any]
    config: dict[str, Any]
    values: Any
    interrupts: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime
    ttl_minutes: float | None = None
    ttl_strategy: str | None = None
    title: str | None = None
    """What people know it by: a name that somebody gave it, or its first question."""
    expires_at: datetime | None = None
    """Not before this is the thread looked at by the sweep, which then counts from ``updated_at``."""

    @property
    def ttl(self) -> Ttl | None:
        """How long it is kept; None: for ever."""
        if self.ttl_minutes is None:
            return None
        return Ttl(self.ttl_minutes, TtlStrategy(self.ttl_strategy or TtlStrategy.DELETE))

    @property
    def ends_at(self) -> datetime | None:
        """When it expires if nothing happens on it any more; None: never."""
        if self.ttl_minutes is None or self.expires_at is None:
            return None
        return max(self.expires_at, self.updated_at + timedelta(minutes=self.ttl_minutes))

    @property
    def graph_id(self) -> str | None:
        """The graph of the thread's last run; None as well where clients have written what is no name."""
        named = self.metadata.get("graph_id")
        return named if isinstance(named, str) else None


@dataclass(frozen=True)
class ThreadFilter:
    """Which threads are looked for: all that is given has to hold. ``metadata`` and ``values`` have to be contained.

    ``asks``: whether questions are open. ``title``: a part of it, small and capital letters alike.
    """

    ids: tuple[UUID, ...] | None = None
    status: ThreadStatus | None = None
    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None
    asks: bool | None = None
    title: str | None = None


@dataclass(frozen=True)
class ThreadLine:
    """A thread as lists show it, without what may be large.

    ``messages``: how many; None where it has no such list. ``is_running``: a worker has one of its runs.
    """

    thread_id: UUID
    title: str | None
    status: ThreadStatus
    asks: bool
    is_running: bool
    messages: int | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ThreadHead:
    """What a run leaves on its thread: the state's values, the nodes that would run next, open interrupts by task."""

    values: Any
    next: tuple[str, ...]
    interrupts: dict[str, Any]


@dataclass(frozen=True)
class StoredHead:
    """What the checkpoint store can tell of a thread without its graph. Times are those of its checkpoints."""

    metadata: dict[str, Any]
    is_interrupted: bool
    first_at: datetime | None
    last_at: datetime | None


def resting_status(head: ThreadHead | None, *, failed: bool) -> ThreadStatus:
    """A thread's status once its last run has ended; it is busy as long as another one waits."""
    if failed:
        return ThreadStatus.ERROR
    return ThreadStatus.INTERRUPTED if head is not None and head.next else ThreadStatus.IDLE
