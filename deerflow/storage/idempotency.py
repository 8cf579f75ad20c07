"""Rows of idempotency keys: what was created under which key of whom."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from deerflow.domain.idempotency import IdempotencyKey
from deerflow.domain.principal import Principal
from deerflow.errors import Conflict
from deerflow.storage.database import Tx
from deerflow.storage.models import idempotency_keys
from deerflow.storage.types import now

_NOT_YET: dict[str, Any] = {}


def take(tx: Tx, principal: Principal, key: IdempotencyKey, *, keep_seconds: int) -> Any:
    """Take a key for what this transaction creates; None when it was free, else what was noted under it.

    Two that come at once: the second waits here until the first has committed, or takes the key if it failed.
    Take the key before any other lock, and ``note`` in the same transaction. An expired key is free. Raises Conflict
    when it stands for a request that asked for something else.
    """
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    row = {"owner": principal.user_id, "key": key.text, "fingerprint": key.fingerprint, "answer": _NOT_YET}
    statement = insert(idempotency_keys).values(row)
    statement = statement.on_conflict_do_update(
        index_elements=["owner", "key"],
        set_={"fingerprint": key.fingerprint, "answer": _NOT_YET, "created_at": now()},
        where=idempotency_keys.c.created_at < now(-float(keep_seconds)),
    )
    if tx.execute(statement.returning(idempotency_keys.c.key)).one_or_none() is not None:
        return None
    kept = tx.execute(sa.select(idempotency_keys).where(*_same(principal, key))).one()
    _require_same_request(kept.fingerprint, key)
    return kept.answer


def _require_same_request(fingerprint: str, key: IdempotencyKey) -> None:
    if fingerprint != key.fingerprint:
        raise Conflict(f"Idempotency-Key '{key.text}' was used for a request with another path or body; use a new key")


def find(tx: Tx, principal: Principal, key: IdempotencyKey, *, keep_seconds: int) -> Any:
    """What was noted under a key, without taking it; None when it is free, or is being used for the first time."""
    alive = idempotency_keys.c.created_at >= now(-float(keep_seconds))
    row = tx.execute(sa.select(idempotency_keys).where(*_same(principal, key), alive)).one_or_none()
    if row is None:
        return None
    _require_same_request(row.fingerprint, key)
    return row.answer


def note(tx: Tx, principal: Principal, key: IdempotencyKey, answer: Any) -> None:
    """Keep what was created under a key that this transaction has taken."""
    tx.execute(sa.update(idempotency_keys).where(*_same(principal, key)).values(answer=answer))


def remove_expired(tx: Tx, *, keep_seconds: int, limit: int) -> int:
    """Remove at most *limit* keys that stand for nothing any more; how many there were. Those in use are left."""
    names = sa.tuple_(idempotency_keys.c.owner, idempotency_keys.c.key)
    expired = idempotency_keys.c.created_at < now(-float(keep_seconds))
    query = sa.select(idempotency_keys.c.owner, idempotency_keys.c.key).where(expired).limit(limit)
    found = [tuple(row) for row in tx.execute(query.with_for_update(skip_locked=True))]
    if not found:
        return 0
    return tx.execute(sa.delete(idempotency_keys).where(names.in_(found), expired)).rowcount


def _same(principal: Principal, key: IdempotencyKey) -> tuple[sa.ColumnElement[bool], ...]:
    return idempotency_keys.c.owner == principal.user_id, idempotency_keys.c.key == key.text
