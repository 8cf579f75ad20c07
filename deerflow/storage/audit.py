"""Rows of the audit: written in the transaction of what they tell, or alone when they tell of a failure."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from deerflow.domain.accounts import AuditEntry
from deerflow.domain.ids import new_id
from deerflow.storage.database import Tx
from deerflow.storage.models import audit
from deerflow.storage.types import now


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


def page(
    tx: Tx,
    *,
    action: str | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    limit: int,
    offset: int = 0,
) -> list[AuditEntry]:
    """Entries, newest first. *action* may be a beginning: ``key.`` finds all that was done to keys."""
    query = sa.select(audit).order_by(audit.c.at.desc(), audit.c.entry_id.desc()).limit(limit).offset(offset)
    if action is not None:
        query = query.where(audit.c.action.startswith(action, autoescape=True))
    if actor is not None:
        query = query.where(audit.c.actor == actor)
    if since is not None:
        query = query.where(audit.c.at >= since)
    return [AuditEntry(**row._mapping) for row in tx.execute(query)]


def remove_old(tx: Tx, *, keep_days: int, limit: int) -> int:
    """Remove at most *limit* entries that are older than that; how many there were."""
    old = sa.select(audit.c.entry_id).where(audit.c.at < now(-86_400.0 * keep_days)).limit(limit)
    return tx.execute(sa.delete(audit).where(audit.c.entry_id.in_(old))).rowcount
