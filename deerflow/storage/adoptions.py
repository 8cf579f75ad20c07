"""Adoptions: all that one owner has becomes somebody else's.

Rows change hands in the transaction that decides it. Store items and checkpoints are elsewhere: ``finished_at`` is NULL
until the clock has handed them over too, and as long as it is, rows that the owner has made meanwhile follow.
``created_at`` is when rows have changed hands last.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from deerflow.domain.words import RunStatus
from deerflow.storage.database import Tx
from deerflow.storage.models import (
    adoptions,
    assistant_versions,
    assistants,
    crons,
    idempotency_keys,
    runs,
    threads,
    webhooks,
)
from deerflow.storage.types import now


@dataclass(frozen=True)
class Adoption:
    """One that is not finished yet."""

    owner: str
    heir: str


def begin(tx: Tx, owner: str, heir: str) -> None:
    """Give the heir all of the owner's rows, and note what has still to follow."""
    _hand_over(tx, owner, heir)
    tx.execute(sa.insert(adoptions).values(owner=owner, heir=heir, created_at=now()))


def unfinished(tx: Tx) -> list[Adoption]:
    """Adoptions that have still to be finished."""
    query = sa.select(adoptions.c.owner, adoptions.c.heir).where(adoptions.c.finished_at.is_(None))
    return [Adoption(row.owner, row.heir) for row in tx.execute(query)]


def hand_over_rest(tx: Tx, adoption: Adoption) -> bool:
    """Give the heir what the owner has made since; whether no worker acts for the owner any more.

    A worker keeps the owner that a run had when it was claimed, so every run that was claimed before has to end.
    """
    if _hand_over(tx, adoption.owner, adoption.heir):
        tx.execute(sa.update(adoptions).where(adoptions.c.owner == adoption.owner).values(created_at=now()))
    since = sa.select(adoptions.c.created_at).where(adoptions.c.owner == adoption.owner).scalar_subquery()
    claimed_before = sa.exists().where(
        runs.c.owner == adoption.heir, runs.c.status == RunStatus.RUNNING, runs.c.started_at <= since
    )
    return not tx.scalar(sa.select(claimed_before))


def finish(tx: Tx, adoption: Adoption) -> None:
    """Note that nothing has to follow any more."""
    tx.execute(sa.update(adoptions).where(adoptions.c.owner == adoption.owner).values(finished_at=now()))


def _hand_over(tx: Tx, owner: str, heir: str) -> bool:
    """Change the owner of all rows; whether there was any."""
    keys, theirs = idempotency_keys, idempotency_keys.alias()
    taken = sa.select(theirs.c.key).where(theirs.c.owner == heir)
    tx.execute(sa.delete(keys).where(keys.c.owner == owner, keys.c.key.in_(taken)))
    owned = (threads, runs, assistants, assistant_versions, crons, webhooks, keys)
    counts = [tx.execute(sa.update(t).where(t.c.owner == owner).values(owner=heir)).rowcount for t in owned]
    return any(counts)
