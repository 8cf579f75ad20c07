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
# Written out, as the conditions of the partial indexes are: with parameters SQLite would not see that they fit.
_IN_FLIGHT = sa.text("runs.status IN ('pending', 'running')")
_is_pending = runs.c.status == "pending"
_is_due = sa.and_(_is_pending, runs.c.run_at <= now())
_is_held_up = sa.exists().where(_other.c.thread_id == runs.c.thread_id, sa.text("other.status = 'running'"))
_is_unclaimed = sa.and_(_is_due, ~_is_held_up.correlate(runs))
_is_open = sa.and_(webhooks.c.delivered_at.is_(None), webhooks.c.dead_at.is_(None))

_MEASURE = (
    sa.select(
        sa.func.count().filter(_is_pending).label("pending"),
        sa.func.count().filter(runs.c.status == "running").label("running"),
        sa.func.count().filter(_is_due).label("due"),
        sa.func.count().filter(_is_unclaimed).label("unclaimed"),
        sa.func.min(runs.c.run_at).filter(_is_unclaimed).label("oldest"),
        sa.select(sa.func.count()).select_from(webhooks).where(_is_open).scalar_subquery().label("webhooks"),
        now().label("at"),
    )
    .select_from(runs)
    .where(_IN_FLIGHT)
)
