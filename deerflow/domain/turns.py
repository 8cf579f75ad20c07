"""Turns: a thread's runs as those know them who follow the thread, one after the other."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from deerflow.domain.runs import INFLIGHT
from deerflow.domain.words import RunStatus


@dataclass(frozen=True)
class Turn:
    """One run of a thread. ``attempt`` is 0 as long as no worker has begun it."""

    run_id: UUID
    ordinal: int
    graph_id: str
    status: RunStatus
    attempt: int
    error: dict[str, Any] | None
    updated_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether its status will not change any more."""
        return self.status not in INFLIGHT

    def vanished(self, at: datetime) -> Self:
        """The same when its row has gone: it was rolled back, or deleted while it was in flight."""
        return self if self.is_over else replace(self, status=RunStatus.INTERRUPTED, updated_at=at)


@dataclass(frozen=True, order=True)
class Spot:
    """A place within a thread: of which run, and behind which of its entries."""

    ordinal: int
    place: int


BEGINNING = Spot(0, 0)
