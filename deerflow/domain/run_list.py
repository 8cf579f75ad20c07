"""Runs as a list of them tells: who began which, and what became of it; and why one of them waits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from deerflow.domain.words import CancelAction, RunStatus


@dataclass(frozen=True)
class RunWanted:
    """Which runs are looked for: all that is given has to hold. ``asks``: it has ended with a question that is open."""

    statuses: Collection[RunStatus] = ()
    asks: bool | None = None
    assistant_id: UUID | None = None
    thread_id: UUID | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class RunLine:
    """One line of the list. ``graph_id`` stands for an agent whose assistant, ``agent``, has gone.

    ``lost_at``: when its worker was lost, unless it was handed over since. ``key_name``: of the API key with which it
    was created, for the key's owner alone; ``cron_id``: what a cron wrote into its metadata.
    """

    run_id: UUID
    thread_id: UUID
    assistant_id: UUID
    graph_id: str
    owner: str
    agent: str | None
    title: str | None
    status: RunStatus
    asks: bool
    error_name: str | None
    cancel_action: CancelAction | None
    attempt: int
    lost_at: datetime | None
    key_id: UUID | None
    key_name: str | None
    cron_id: str | None
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class Queued:
    """A run of a thread that is in flight, as far as it matters to who waits there."""

    run_id: UUID
    ordinal: int
    status: RunStatus
    attempt: int
    run_at: datetime

    @property
    def is_waiting(self) -> bool:
        """Whether no worker has it."""
        return self.status is RunStatus.PENDING


class Waiting(StrEnum):
    """Why a run waits."""

    SCHEDULED = "scheduled"
    """It may not start before a time that is still to come."""
    THREAD_BUSY = "thread-busy"
    NO_WORKER = "no-worker"
    ITS_TURN = "its-turn"
    """Nothing is in its way: a worker takes it as soon as one has a free place."""


def ahead_of(run: Queued, inflight: Sequence[Queued], at: datetime) -> list[Queued]:
    """The runs of its thread that come first, in their order; the rule by which a claim is refused."""
    first = [
        other
        for other in inflight
        if other.run_id != run.run_id
        and (
            other.status is RunStatus.RUNNING
            or (run.attempt == 0 and (other.attempt > 0 or (other.ordinal < run.ordinal and other.run_at <= at)))
        )
    ]
    return sorted(first, key=lambda other: (other.status is not RunStatus.RUNNING, other.attempt == 0, other.ordinal))


def why_waiting(run: Queued, ahead: Sequence[Queued], at: datetime, *, has_workers: bool) -> Waiting:
    """Why a pending run has not begun."""
    if run.run_at > at:
        return Waiting.SCHEDULED
    if ahead:
        return Waiting.THREAD_BUSY
    return Waiting.ITS_TURN if has_workers else Waiting.NO_WORKER
