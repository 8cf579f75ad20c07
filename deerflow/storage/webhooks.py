"""Rows of the outbox: what has to be told of runs that have ended.

Written in the transaction that ends a run; claimed, delivered and failed by the clock. There is no principal here: a
row belongs to its run's owner, the clock delivers everybody's, and only the operator's command line lists them.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.ids import least_id, new_id
from deerflow.domain.runs import Run
from deerflow.domain.webhooks import Receipt, Webhook
from deerflow.errors import NotFound
from deerflow.storage.database import Tx
from deerflow.storage.models import webhooks
from deerflow.storage.types import now

_columns = [c for c in webhooks.c if c.name != "payload"]
_whole = [*_columns, webhooks.c.payload]
_open = sa.and_(webhooks.c.delivered_at.is_(None), webhooks.c.dead_at.is_(None))
_LONGEST_ERROR = 500

State = Literal["pending", "delivered", "dead"]
_STATES: dict[State, sa.ColumnElement[bool]] = {
    "pending": _open,
    "delivered": webhooks.c.delivered_at.is_not(None),
    "dead": webhooks.c.dead_at.is_not(None),
}


def put(tx: Tx, run: Run, *, url: str, receiver: str, payload: dict[str, Any]) -> UUID:
    """Add what is to be told of a run; it is due at once."""
    webhook_id = new_id()
    facts = {
        "webhook_id": webhook_id,
        "owner": run.owner,
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "url": url,
        "receiver": receiver,
        "payload": payload,
        "tries": 0,
    }
    tx.execute(_PUT, facts)
    return webhook_id


_PUT = sa.insert(webhooks)


def any_due(tx: Tx) -> bool:
    """Whether there is anything to deliver now; an idle clock only reads."""
    return bool(tx.scalar(_ANY_DUE))


_ANY_DUE = sa.select(sa.exists().where(_open, webhooks.c.due_at <= now()))


def claim(tx: Tx, *, lease: timedelta, besides: Collection[str]) -> tuple[Webhook, dict[str, Any]] | None:
    """Take the webhook that has been due longest, with its payload, for one try; None when there is none.

    *lease*: after that time it is due again, so it has to be longer than a delivery may take. *besides*: receivers
    that get nothing more for the moment.
    """
    facts = {"seconds": lease.total_seconds(), "besides": list(besides)}
    row = tx.execute(_CLAIM, facts).one_or_none()
    return (_record(row), row.payload) if row else None


_FIRST_DUE = (
    sa.select(webhooks.c.webhook_id)
    .where(_open, webhooks.c.due_at <= now(), webhooks.c.receiver.not_in(sa.bindparam("besides", expanding=True)))
    .order_by(webhooks.c.due_at, webhooks.c.webhook_id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    sa.update(webhooks)
    .where(webhooks.c.webhook_id == _FIRST_DUE.scalar_subquery(), _open, webhooks.c.due_at <= now())
    .values(tries=webhooks.c.tries + 1, due_at=now(sa.bindparam("seconds", type_=sa.Float)))
    .returning(*_whole)
)


def delivered(tx: Tx, webhook: Webhook, receipt: Receipt) -> bool:
    """Note that the receiver has taken it, whichever try that was; False when that was known."""
    values = {"delivered_at": now(), "dead_at": None, "last_status": receipt.status, "last_error": None}
    still = (webhooks.c.webhook_id == webhook.webhook_id, webhooks.c.delivered_at.is_(None))
    return tx.execute(sa.update(webhooks).where(*still).values(values)).rowcount == 1


def failed(tx: Tx, webhook: Webhook, receipt: Receipt, *, again_seconds: float | None) -> bool:
    """Note a failure; it is due again after *again_seconds*, or given up. False when this try is not the last one."""
    values: dict[str, Any] = {"last_status": receipt.status, "last_error": (receipt.error or "")[:_LONGEST_ERROR]}
    values |= {"dead_at": now()} if again_seconds is None else {"due_at": now(again_seconds)}
    still = (webhooks.c.webhook_id == webhook.webhook_id, webhooks.c.tries == webhook.tries, _open)
    return tx.execute(sa.update(webhooks).where(*still).values(values)).rowcount == 1


def replay(tx: Tx, webhook_id: UUID) -> bool:
    """Make one that was delivered or given up due again, with all its tries; False when it is still pending."""
    return tx.execute(_REPLAY.where(webhooks.c.webhook_id == webhook_id, ~_open)).rowcount == 1


def replay_dead(tx: Tx) -> int:
    """The same for all that were given up; how many there were."""
    return tx.execute(_REPLAY.where(webhooks.c.dead_at.is_not(None))).rowcount


_REPLAY = sa.update(webhooks).values(delivered_at=None, dead_at=None, tries=0, due_at=now())


def get(tx: Tx, webhook_id: UUID) -> tuple[Webhook, dict[str, Any]]:
    """One webhook with its payload; NotFound when there is none."""
    query = sa.select(*_whole).where(webhooks.c.webhook_id == webhook_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"Webhook {webhook_id} not found")
    return _record(row), row.payload


def page(tx: Tx, *, state: State | None, limit: int) -> list[Webhook]:
    """Webhooks, newest first."""
    query = sa.select(*_columns).order_by(webhooks.c.webhook_id.desc()).limit(limit)
    return [_record(row) for row in tx.execute(query if state is None else query.where(_STATES[state]))]


def forget(tx: Tx, *, delivered_for: timedelta, dead_for: timedelta) -> int:
    """Remove those that were delivered or given up that long ago; how many there were."""
    old = sa.or_(
        webhooks.c.delivered_at < now(-delivered_for.total_seconds()),
        webhooks.c.dead_at < now(-dead_for.total_seconds()),
    )
    # Ids grow with time, so the primary key keeps the rest of the outbox out of this look.
    created = webhooks.c.webhook_id < least_id(datetime.now(UTC) - min(delivered_for, dead_for))
    return tx.execute(sa.delete(webhooks).where(created, old)).rowcount


def _record(row: sa.Row[Any]) -> Webhook:
    return Webhook(**{name: value for name, value in row._mapping.items() if name != "payload"})
