"""Shapes of what is answered, for ``/openapi.json``: views present domain records by functions of their own."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from deerflow.api.wire.body import Shape
from deerflow.domain.words import MultitaskStrategy, RunStatus, ThreadStatus, TtlStrategy


class Nothing(Shape):
    """An empty object."""


class TtlShown(Shape):
    """How long a thread is kept."""

    strategy: TtlStrategy
    ttl_minutes: float
    expires_at: AwareDatetime


class Pruned(Shape):
    """How many threads were pruned."""

    pruned_count: int


class ThreadPart(Shape):
    """A thread; with ``select`` only the columns that were asked for."""

    thread_id: UUID | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    state_updated_at: AwareDatetime | None = None
    metadata: dict[str, Any] | None = None
    status: ThreadStatus | None = None
    config: dict[str, Any] | None = None
    values: Any = Field(default=None, description="The newest state; null before the first run has ended.")
    error: Any = Field(default=None, description="What the last run failed with.")
    interrupts: dict[str, Any] | None = Field(default=None, description="Open interrupts, by the id of their task.")
    extracted: dict[str, Any] | None = Field(default=None, description="What ``extract`` asks for, by its aliases.")


class ThreadShown(Shape):
    """A thread; ``error`` and ``interrupts`` are there once a run has ended."""

    thread_id: UUID
    created_at: AwareDatetime
    updated_at: AwareDatetime
    state_updated_at: AwareDatetime | None
    metadata: dict[str, Any]
    status: ThreadStatus
    config: dict[str, Any] | None
    values: Any = Field(description="The newest state; null before the first run has ended.")
    error: Any = Field(default=None, description="What the last run failed with.")
    interrupts: dict[str, Any] | None = Field(default=None, description="Open interrupts, by the id of their task.")
    ttl: TtlShown | None = Field(default=None, description="With ``include=ttl``, of a thread that expires.")


class Failure(Shape):
    """What a run failed with."""

    error: str = Field(description="Its class.")
    message: str


class RunPart(Shape):
    """A run; with ``select`` only the columns that were asked for."""

    run_id: UUID | None = None
    thread_id: UUID | None = None
    assistant_id: UUID | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    run_at: AwareDatetime | None = None
    metadata: dict[str, Any] | None = None
    status: RunStatus | None = None
    given: Annotated[dict[str, Any] | None, Field(alias="kwargs")] = None
    multitask_strategy: MultitaskStrategy | None = None
    attempt: int | None = None
    error: Failure | None = None


class RunShown(Shape):
    """A run."""

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    created_at: AwareDatetime
    updated_at: AwareDatetime
    run_at: AwareDatetime = Field(description="When it may start.")
    metadata: dict[str, Any]
    status: RunStatus
    given: Annotated[dict[str, Any], Field(alias="kwargs", description="What it was created with.")]
    multitask_strategy: MultitaskStrategy
    attempt: int = Field(description="How often it was started, on whatever worker.")
    error: Failure | None = Field(description="What it failed with.")


class EventShown(Shape):
    """An event of a run."""

    id: str
    event: str
    data: Any
    at: AwareDatetime


class EventPageShown(Shape):
    """A page of a run's events; go on at ``next`` until ``done``."""

    events: list[EventShown]
    next: int
    done: bool
    status: RunStatus
    gap_upto: int | None = Field(default=None, description="Events up to this one are no longer kept.")


class CheckpointNamed(Shape):
    """What names a checkpoint."""

    thread_id: str | None = None
    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_map: dict[str, Any] | None = None


class TaskShown(Shape):
    """A node that is next, or has run, at a checkpoint."""

    id: str
    name: str
    path: list[Any] | None = None
    error: str | None = None
    interrupts: list[dict[str, Any]]
    checkpoint: CheckpointNamed | None = None
    state: "StateShown | None" = Field(default=None, description="A subgraph's, when it was asked for.")
    result: Any = None


class StateShown(Shape):
    """What a thread's checkpoint says."""

    values: Any
    next: list[str]
    tasks: list[TaskShown]
    metadata: dict[str, Any] | None
    created_at: str | None
    checkpoint: CheckpointNamed | None
    parent_checkpoint: CheckpointNamed | None
    interrupts: list[dict[str, Any]]
    checkpoint_id: str | None
    parent_checkpoint_id: str | None


class CheckpointWritten(Shape):
    """The checkpoint that an edit has made."""

    checkpoint: CheckpointNamed
    configurable: CheckpointNamed
    checkpoint_id: str


class Health(Shape):
    """That a process serves."""

    ok: Literal[True]
    services: dict[str, Any]


class Live(Shape):
    """That a process lives."""

    ok: Literal[True]


class Ready(Shape):
    """What each part says: ``ok``, or what is wrong with it."""

    ok: bool
    parts: dict[str, str]


class Info(Shape):
    """Which server this is, and what it can do."""

    version: str
    langgraph_py_version: str
    flags: dict[str, bool]
    host: dict[str, Any]
