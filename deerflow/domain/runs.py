"""Runs: one execution of a graph on a thread, and the rules of its life.

            submit              claim                 finish
    (none) ───────► pending ───────────► running ───────────────► success | error | timeout | interrupted
                       │  ▲                 │
                       │  └── release, reap ┘      (handed over, or its lease lapsed: the next claim resumes it)
                       └── cancel before its first claim ───────► interrupted

``attempt`` counts claims and fences: what an older attempt still says is refused. ``crashes`` counts lapsed
leases without a new checkpoint since the claim; only it is limited. ``rings`` numbers the Celery messages: a
task's id is ``<run_id>.<ring>`` and is never used twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol
from uuid import UUID

from deerflow.domain.words import (
    CancelAction,
    Durability,
    IfNotExists,
    MultitaskStrategy,
    OnCompletion,
    OnDisconnect,
    RunStatus,
    StreamMode,
)

INFLIGHT = frozenset({RunStatus.PENDING, RunStatus.RUNNING})


@dataclass(frozen=True)
class RunSpec:
    """What a client asked for, every default decided.

    ``assistant`` is an id, a graph's name, or None for the mount's default.
    """

    assistant: str | None
    input: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    command: dict[str, Any] | None = None
    checkpoint: dict[str, Any] | None = None
    interrupt_before: str | list[str] | None = None
    interrupt_after: str | list[str] | None = None
    durability: Durability = Durability.ASYNC
    stream_modes: tuple[StreamMode, ...] = (StreamMode.VALUES,)
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    after_seconds: float = 0.0
    feedback_keys: list[str] | None = None
    request: dict[str, Any] = field(default_factory=dict)
    """What the request's headers add to ``configurable``."""
    temporary: bool = False
    """A stateless run: its thread is its own, and goes with it if ``on_completion`` says so."""
    on_completion: OnCompletion = OnCompletion.KEEP
    multitask_strategy: MultitaskStrategy = MultitaskStrategy.ENQUEUE
    on_disconnect: OnDisconnect = OnDisconnect.CONTINUE
    if_not_exists: IfNotExists = IfNotExists.REJECT
    webhook: str | None = None
    """The URL that is told of the run's end."""
    protocol: str | None = None
    """How the run speaks: ``v2``, or None for stream modes. One of v2 takes its input for the answer where its thread
    waits for one."""
    answers: tuple[str, ...] = ()
    """Questions that its thread must still wait to have answered."""


@dataclass(frozen=True)
class Run:
    """One run as its row tells it. ``fence`` is the token of its last claim in the checkpoint store."""

    run_id: UUID
    thread_id: UUID
    owner: str
    assistant_id: UUID
    graph_id: str
    ordinal: int
    status: RunStatus
    metadata: dict[str, Any]
    kwargs: dict[str, Any]
    multitask_strategy: MultitaskStrategy
    run_at: datetime
    attempt: int
    crashes: int
    rings: int
    rung_at: datetime | None
    task_id: str | None
    worker: str | None
    lease_until: datetime | None
    events_upto: int
    fence: int
    cancel_action: CancelAction | None
    thread_before: dict[str, Any] | None
    """What the thread's metadata said of graph and assistant before this run; None: the run has not changed it."""
    error: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    key_id: UUID | None = None
    """The API key with which it was created."""
    lost_at: datetime | None = None
    """When its worker was lost; None: never, or it was handed over in good order since."""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change any more."""
        return self.status not in INFLIGHT

    @property
    def takes_its_thread(self) -> bool:
        """Whether it is stateless and its thread goes with it."""
        return bool(self.kwargs.get("temporary")) and self.kwargs.get("on_completion") == OnCompletion.DELETE

    @property
    def is_rolled_back(self) -> bool:
        """Whether nothing is to be left of this run."""
        return self.cancel_action is CancelAction.ROLLBACK

    @property
    def was_cancelled(self) -> bool:
        """Whether a cancel is ending this run or has ended it."""
        return self.cancel_action is not None and (self.status in INFLIGHT or self.status is RunStatus.INTERRUPTED)


class Followed(Protocol):
    """What a reader has to know of a run: a Run, or what is left of one."""

    @property
    def run_id(self) -> UUID:
        """Its id."""

    @property
    def thread_id(self) -> UUID:
        """Its thread."""

    @property
    def events_upto(self) -> int:
        """A place that was said for certain."""


@dataclass(frozen=True)
class Ended:
    """What is left of a run that went with its temporary thread: its log, as long as that is kept."""

    run_id: UUID
    thread_id: UUID
    events_upto: int = 0


class Admission(Enum):
    """What becomes of a new run."""

    GO = auto()
    WAIT = auto()
    REFUSE = auto()
    DISPLACE = auto()
    """The runs in flight are cancelled, and it starts when they have stopped."""


def admit(strategy: MultitaskStrategy, inflight: Sequence[RunStatus]) -> Admission:
    """Decide about a new run by the runs that its thread has in flight."""
    if not inflight:
        return Admission.GO
    return {
        MultitaskStrategy.REJECT: Admission.REFUSE,
        MultitaskStrategy.ENQUEUE: Admission.WAIT,
        MultitaskStrategy.INTERRUPT: Admission.DISPLACE,
        MultitaskStrategy.ROLLBACK: Admission.DISPLACE,
    }[strategy]


def task_id(run_id: UUID, ring: int) -> str:
    """The Celery task id of one ring.

    Every ring has its own, because a worker that gets a doubled id forgets the task it is running, and one
    that was revoked discards the id for hours.
    """
    return f"{run_id}.{ring}"
