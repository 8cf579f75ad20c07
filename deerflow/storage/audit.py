"""Rows of the audit: written in the transaction of what they tell, or alone when they tell of a failure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deerflow.domain.accounts import AuditEntry
from deerflow.domain.ids import new_id
from deerflow.storage.database import Tx
from deerflow.storage.models import audit
from deerflow.storage.types import UtcTime, now


def note(
    tx: Tx,
    action: str,
    *,
    actor: str | None,
    subject: str | None = None,
    address: str | None = None,
    **detail: Any,
) -> None:
    """Note that *actor* (an owner; None: nobody was signed in) did *action* to *subject*; never a password or a key."""
    row = {"entry_id": new_id(), "actor": actor, "action": action, "subject": subject, "address": address}
    tx.execute(sa.insert(audit).values({**row, "detail": detail}))


@dataclass(frozen=True)
class Wanted:
    """Which entries. None: whatever it is."""

    actions: tuple[str, ...] | None = None
    """What was done; each may be a beginning: ``key.`` finds all that was done to keys."""
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that does not count any more."""


def page(
    tx: Tx, wanted: Wanted = Wanted(), *, limit: int, offset: int = 0, before: AuditEntry | None = None
) -> list[AuditEntry]:
    """Entries, newest first; *before*: those that come after this one in that order."""
    query = sa.select(audit).where(*_matching(wanted)).order_by(audit.c.at.desc(), audit.c.entry_id.desc())
    if before is not None:
        at, entry_id = sa.literal(before.at, UtcTime), sa.literal(before.entry_id, sa.Uuid)
        query = query.where(sa.tuple_(audit.c.at, audit.c.entry_id) < sa.tuple_(at, entry_id))
    return [AuditEntry(**row._mapping) for row in tx.execute(query.limit(limit).offset(offset))]


def count(tx: Tx, wanted: Wanted) -> int:
    """How many there are."""
    return tx.scalar(sa.select(sa.func.count()).select_from(audit).where(*_matching(wanted))) or 0


def _matching(wanted: Wanted) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.actions is not None:
        yield sa.or_(sa.false(), *(audit.c.action.startswith(each, autoescape=True) for each in wanted.actions))
    if wanted.actor is not None:
        yield audit.c.actor == wanted.actor
    if wanted.since is not None:
        yield audit.c.at >= wanted.since
    if wanted.until is not None:
        yield audit.c.at < wanted.until


def remove_old(tx: Tx, *, keep_days: int, limit: int) -> int:
    """Remove at most *limit* entries that are older than that; how many there were."""
    old = sa.select(audit.c.entry_id).where(audit.c.at < now(-86_400.0 * keep_days)).limit(limit)
    return tx.execute(sa.delete(audit).where(audit.c.entry_id.in_(old))).rowcount
