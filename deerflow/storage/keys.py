"""Rows of API keys. Only a key's digest is stored; revoked and expired keys stay listed and open nothing."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.accounts import ApiKey, User
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Scope
from deerflow.errors import NotFound
from deerflow.storage import users as user_rows
from deerflow.storage.database import Tx
from deerflow.storage.models import api_keys, users
from deerflow.storage.types import now

_USED_SECONDS = 60.0
_columns = [c for c in api_keys.c if c.name != "digest"]


def create(
    tx: Tx, user_id: UUID, *, name: str, prefix: str, digest: str, scope: Scope, expires_at: datetime | None
) -> ApiKey:
    """Store a new key of a user."""
    row = {
        "key_id": new_id(),
        "user_id": user_id,
        "name": name,
        "prefix": prefix,
        "digest": digest,
        "scope": scope,
        "expires_at": expires_at,
    }
    return _record(tx.execute(sa.insert(api_keys).values(row).returning(*_columns)).one()._mapping)


def find(tx: Tx, digest: str) -> tuple[ApiKey, User] | None:
    """The key with this digest that is still good, and whose it is."""
    return _found(tx.execute(_FIND, {"digest_of": digest}).one_or_none())


def is_known(tx: Tx, digest: str) -> bool:
    """Whether there is a key with this digest, be it good or not."""
    return bool(tx.scalar(sa.select(sa.exists().where(api_keys.c.digest == digest))))


_GOOD = (
    sa.select(*_columns, users)
    .join(users, users.c.user_id == api_keys.c.user_id)
    .where(
        api_keys.c.revoked_at.is_(None),
        sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now()),
        users.c.disabled_at.is_(None),
    )
)
_FIND = _GOOD.where(api_keys.c.digest == sa.bindparam("digest_of"))


def good(tx: Tx, key_ids: Collection[UUID]) -> set[UUID]:
    """Which of these keys still open something."""
    return set(tx.scalars(_GOOD.with_only_columns(api_keys.c.key_id).where(api_keys.c.key_id.in_(key_ids))))


def note_used(tx: Tx, key_id: UUID) -> bool:
    """Note that a key was used, once a minute at most; whether it was noted."""
    due = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now(-_USED_SECONDS))
    statement = sa.update(api_keys).where(api_keys.c.key_id == key_id, due).values(last_used_at=now())
    return tx.execute(statement).rowcount == 1


def of_user(tx: Tx, user_id: UUID, *, limit: int | None = None, offset: int = 0) -> list[ApiKey]:
    """A user's keys, newest first, those that open nothing any more as well."""
    query = sa.select(*_columns).where(api_keys.c.user_id == user_id).order_by(api_keys.c.key_id.desc())
    return [_record(row._mapping) for row in tx.execute(query.limit(limit).offset(offset))]


def page(
    tx: Tx,
    *,
    user_id: UUID | None = None,
    key_id: UUID | None = None,
    prefix: str | None = None,
    limit: int,
    offset: int = 0,
) -> list[tuple[ApiKey, User]]:
    """Keys with whose they are, newest first, for who looks after everybody's; *prefix* as lists show it."""
    query = sa.select(*_columns, users).join(users, users.c.user_id == api_keys.c.user_id)
    if user_id is not None:
        query = query.where(api_keys.c.user_id == user_id)
    if key_id is not None:
        query = query.where(api_keys.c.key_id == key_id)
    if prefix is not None:
        query = query.where(api_keys.c.prefix == prefix)
    found = tx.execute(query.order_by(api_keys.c.key_id.desc()).limit(limit).offset(offset))
    return [pair for pair in map(_found, found) if pair is not None]


def count(tx: Tx, user_id: UUID | None = None) -> int:
    """How many keys a user has, or all users together, whatever has become of them."""
    query = sa.select(sa.func.count()).select_from(api_keys)
    return int(tx.scalar(query if user_id is None else query.where(api_keys.c.user_id == user_id)) or 0)


def count_good(tx: Tx, user_id: UUID) -> int:
    """How many good keys a user has. Locks the user's row until the commit, so that nobody else adds one meanwhile."""
    tx.execute(sa.select(users.c.user_id).where(users.c.user_id == user_id).with_for_update())
    good = _GOOD.with_only_columns(sa.func.count()).where(api_keys.c.user_id == user_id)
    return int(tx.scalar(good) or 0)


def get(tx: Tx, user_id: UUID, key_id: UUID) -> ApiKey:
    """One key of a user; NotFound when it is nobody's or somebody else's."""
    ours = (api_keys.c.key_id == key_id, api_keys.c.user_id == user_id)
    row = tx.execute(sa.select(*_columns).where(*ours)).one_or_none()
    if row is None:
        raise NotFound(f"API key with ID {key_id} not found")
    return _record(row._mapping)


def revoke(tx: Tx, user_id: UUID, key_id: UUID) -> ApiKey | None:
    """Make a key of a user open nothing, from the commit on; None when it was revoked before. NotFound as ``get``."""
    good = (api_keys.c.key_id == key_id, api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
    statement = sa.update(api_keys).where(*good).values(revoked_at=now())
    row = tx.execute(statement.returning(*_columns)).one_or_none()
    if row is None:
        get(tx, user_id, key_id)
        return None
    return _record(row._mapping)


def _found(row: Any) -> tuple[ApiKey, User] | None:
    if row is None:
        return None
    both = row._mapping
    key = _record({c.name: both[c] for c in _columns})
    return key, user_rows.record({c.name: both[c] for c in users.c})


def _record(values: Any) -> ApiKey:
    return ApiKey(**{**values, "scope": Scope(values["scope"])})
