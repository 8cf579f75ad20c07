"""How much there is to do, as numbers that name nobody: read from the indexes of what is in flight."""

from dataclasses import dataclass

import sqlalchemy as sa

from deerflow.storage.database import Tx
from deerflow.storage.models import runs, webhooks
from deerflow.storage.types import now


@dataclass(frozen=True)
class Load:
    """Runs and webhooks that are not over."""

    pending: int
    running: int
    due: int
    """Pending runs whose time has come."""
    unclaimed: int
    """Of these, runs that no other run of their thread holds up: a free worker would take them."""
    oldest_seconds: float
    """How long the oldest of the unclaimed has been due."""
    webhooks: int
    """In the outbox, to be sent now or later."""


def measure(tx: Tx) -> Load:
    """Look at what is in flight, in one statement and on the database's clock."""
    found = tx.execute(_MEASURE).one()
    oldest = (found.at - found.oldest).total_seconds() if found.oldest is not None else 0.0
    return Load(found.pending, found.running, found.due, found.unclaimed, max(0.0, oldest), found.webhooks)


_other = runs.alias("other")
_is_pending = runs.c.status == "pending"
_is_due = sa.and_(_is_pending, runs.c.run_at <= now())
_is_held_up = sa.exists().where(_other.c.thread_id == runs.c.thread_id, _other.c.status == "running")
_is_unclaimed = sa.and_(_is_due, ~_is_held_up)


def _count(condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(runs).where(condition).scalar_subquery()


_MEASURE = sa.select(
    _count(_is_pending).label("pending"),
    _count(runs.c.status == "running").label("running"),
    _count(_is_due).label("due"),
    _count(_is_unclaimed).label("unclaimed"),
    sa.select(sa.func.min(runs.c.run_at)).where(_is_unclaimed).scalar_subquery().label("oldest"),
    sa.select(sa.func.count())
    .select_from(webhooks)
    .where(webhooks.c.delivered_at.is_(None), webhooks.c.dead_at.is_(None))
    .scalar_subquery()
    .label("webhooks"),
    now().label("at"),
)
