"""Webhooks: what is to be told of a run's end, and the rules of telling it again.

        put              claim                  delivered
(none) ────► due ────────────────► being sent ─────────────► delivered
              ▲                      │    │       failed, for the last time, or the receiver is gone
              └── failed, or lapsed ─┘    └─────────────────► dead ── replay ──► due

A claim pushes ``due_at`` ahead of the longest time that a delivery may take. So nobody else sends it meanwhile, and
what a clock was sending when it died becomes due again, with the same id.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 6 * 3_600.0
_LONGEST_RETRY_AFTER_SECONDS = 24 * 3_600.0
_JITTER = 0.25


@dataclass(frozen=True)
class Webhook:
    """One row of the outbox without its payload. ``receiver`` is scheme, host and port of the URL, fit to be shown."""

    webhook_id: UUID
    owner: str
    run_id: UUID
    thread_id: UUID
    url: str
    receiver: str
    tries: int
    due_at: datetime
    delivered_at: datetime | None
    dead_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime

    @property
    def state(self) -> str:
        """In one word how far it is."""
        if self.delivered_at is not None:
            return "delivered"
        return "dead" if self.dead_at is not None else "pending"


@dataclass(frozen=True)
class Receipt:
    """What came of one try. ``status`` is the receiver's, if it answered; ``retry_after`` are seconds."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return self.error is None

    @property
    def is_final(self) -> bool:
        """Whether the receiver says that nothing will ever be taken there."""
        return self.status == HTTPStatus.GONE


def pause_seconds(tries: int, *, retry_after: float | None, chance: float) -> float:
    """How long to wait after the *tries*-th failure; *chance* is random, from 0 to 1.

    Doubles from 5 s up to 6 h, give or take a quarter, so that what failed together does not come back together.
    ``Retry-After`` only makes it longer: a receiver that always says "in a second" would use up all tries at once.
    """
    doubled = _FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 30)
    pause = min(doubled, _LONGEST_PAUSE_SECONDS) * (1 + _JITTER * (2 * chance - 1))
    return max(pause, min(retry_after or 0.0, _LONGEST_RETRY_AFTER_SECONDS))
