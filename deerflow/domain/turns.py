"""Turns: a thread's runs as those know them who follow the thread, one after the other."""

import re
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

    def __str__(self) -> str:
        """As clients are told it, who send it back in ``Last-Event-ID``."""
        return f"{self.ordinal}-{self.place}"


BEGINNING = Spot(0, 0)

_SPOT = re.compile(r"(\d{1,9})-(\d{1,15})", re.ASCII)


def parse_spot(text: str) -> Spot | None:
    """The spot behind which a client wants to read; None when the text is none."""
    if text in {"-", "-1", "0"}:
        return BEGINNING
    found = _SPOT.fullmatch(text)
    return Spot(int(found[1]), int(found[2])) if found else None
