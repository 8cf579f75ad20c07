"""Rows of users. What ends a user's sessions raises ``token_version`` and deletes the rows, in one statement each."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from deerflow.domain.accounts import FIRST_ADMIN, Credentials, Standing, User
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Role
from deerflow.errors import Conflict, NotFound
from deerflow.storage.database import Tx
from deerflow.storage.models import api_keys, sessions, users
from deerflow.storage.types import UtcTime, now


def create(tx: Tx, email: str, *, role: Role, password: str | None, name: str | None = None) -> User:
    """Add a user with a canonical e-mail; Conflict when somebody has it. *password* is a hash."""
    row = {
        "user_id": new_id(),
        "email": email,
        "name": name,
        "role": role,
        "password": password,
        "needs_setup": False,
        "token_version": 1,
    }
    try:
        with tx.begin_nested():
            return _record(tx.execute(sa.insert(users).values(row).returning(*users.c)).one())
    except sa.exc.IntegrityError as error:
        raise Conflict(f"There is an account with the e-mail {email} already") from error


def open_set_up(tx: Tx) -> User | None:
    """Make the first administrator's row, which nobody can sign in to yet, unless there is an administrator.

    However many processes do so at once, the primary key lets one row be. That row as long as set-up is open.
    """
    values = {
        "user_id": sa.literal(FIRST_ADMIN, sa.Uuid),
        "role": sa.literal(Role.ADMIN.value),
        "needs_setup": sa.true(),
        "token_version": sa.literal(1),
        "created_at": now(),
        "updated_at": now(),
    }
    nobody = ~sa.exists().where(users.c.role == Role.ADMIN)
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    chosen = sa.select(*values.values()).where(nobody)
    tx.execute(insert(users).from_select(list(values), chosen).on_conflict_do_nothing())
    return find_unfinished(tx)


def needs_set_up(tx: Tx) -> bool:
    """Whether there is no administrator yet who could sign in."""
    ready = sa.exists().where(users.c.role == Role.ADMIN, users.c.needs_setup.is_(sa.false()))
    return not tx.scalar(sa.select(ready))


def find_unfinished(tx: Tx) -> User | None:
    """The first administrator as long as set-up is open: nobody else has become one, as with a proxy's users."""
    row = tx.execute(sa.select(users).where(users.c.user_id == FIRST_ADMIN, users.c.needs_setup)).one_or_none()
    return None if row is None or not needs_set_up(tx) else _record(row)


def finish_set_up(
    tx: Tx, email: str, *, password: str, version: int, name: str | None, language: str | None
) -> User | None:
    """Give the first administrator a canonical e-mail and the hash of a password; None when somebody was faster.

    *version*: the ``token_version`` that set-up was opened with. Conflict when the e-mail is somebody else's.
    """
    still_open = (users.c.user_id == FIRST_ADMIN, users.c.needs_setup, users.c.token_version == version)
    values = {"email": email, "password": password, "name": name, "language": language, "needs_setup": False}
    return _update(tx, still_open, {**values, "token_version": users.c.token_version + 1})


def get(tx: Tx, user_id: UUID) -> User:
    """One user; NotFound when there is none."""
    row = tx.execute(sa.select(users).where(users.c.user_id == user_id)).one_or_none()
    if row is None:
        raise NotFound(f"User with ID {user_id} not found")
    return _record(row)


def find_by_email(tx: Tx, email: str) -> User | None:
    """The user with a canonical e-mail."""
    row = tx.execute(sa.select(users).where(users.c.email == email)).one_or_none()
    return None if row is None else _record(row)


def confirm(tx: Tx, user: User) -> User | None:
    """A user as the row tells it now, if the password is still the one that was checked; locked until the commit."""
    query = sa.select(users).where(users.c.user_id == user.user_id, users.c.password == user.password)
    row = tx.execute(query.with_for_update()).one_or_none()
    found = None if row is None else _record(row)
    return found if found is not None and found.can_sign_in else None


def enabled(tx: Tx, user_ids: Collection[UUID]) -> set[UUID]:
    """Which of these users are there and not disabled."""
    query = sa.select(users.c.user_id).where(users.c.user_id.in_(user_ids), users.c.disabled_at.is_(None))
    return set(tx.scalars(query))


def page(
    tx: Tx, *, limit: int, offset: int = 0, text: str | None = None, only: Standing | Role | None = None
) -> list[User]:
    """Users, oldest first; *text* is somewhere in the e-mail or the name, *only* a kind of them."""
    query = sa.select(users).where(*_matching(text)).order_by(users.c.created_at, users.c.user_id)
    if only is not None:
        query = query.where(_IS[only])
    return [_record(row) for row in tx.execute(query.limit(limit).offset(offset))]


def counts(tx: Tx, *, text: str | None = None) -> tuple[int, dict[Standing | Role, int]]:
    """How many users there are with this text, and how many of each kind."""
    of_each = [sa.func.count().filter(condition) for condition in _IS.values()]
    total, *found = tx.execute(sa.select(sa.func.count(), *of_each).select_from(users).where(*_matching(text))).one()
    return total, dict(zip(_IS, found, strict=True))


_SET_UP = users.c.needs_setup.is_(sa.false())
_IS: dict[Standing | Role, sa.ColumnElement[bool]] = {
    Role.ADMIN: users.c.role == Role.ADMIN,
    Role.USER: users.c.role == Role.USER,
    Standing.ACTIVE: sa.and_(_SET_UP, users.c.disabled_at.is_(None), users.c.password.is_not(None)),
    Standing.INVITED: sa.and_(_SET_UP, users.c.disabled_at.is_(None), users.c.password.is_(None)),
    Standing.UNFINISHED: users.c.needs_setup,
    Standing.DISABLED: sa.and_(_SET_UP, users.c.disabled_at.is_not(None)),
}
"""Who is of a kind: what ``User`` says of one row."""


def _matching(text: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    if text is None:
        return ()
    return (sa.or_(users.c.email.icontains(text, autoescape=True), users.c.name.icontains(text, autoescape=True)),)


def names(tx: Tx, user_ids: Collection[UUID]) -> dict[str, str]:
    """What these users are known by, by owner: their e-mail."""
    query = sa.select(users.c.user_id, users.c.email).where(users.c.user_id.in_(user_ids), users.c.email.is_not(None))
    return {str(row.user_id): row.email for row in tx.execute(query)}


def credentials(tx: Tx, user_ids: Collection[UUID]) -> dict[UUID, Credentials]:
    """What each of these users can be let in by."""
    signed_in = _by_user(tx, sessions, user_ids, sessions.c.last_seen_at, good=sessions.c.expires_at > now())
    is_good = sa.and_(
        api_keys.c.revoked_at.is_(None), sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now())
    )
    with_keys = _by_user(tx, api_keys, user_ids, api_keys.c.last_used_at, good=is_good)
    nothing = (0, None)
    found = {}
    for user_id in user_ids:
        (browsers, seen_at), (keys, used_at) = signed_in.get(user_id, nothing), with_keys.get(user_id, nothing)
        found[user_id] = Credentials(browsers, keys, max(filter(None, (seen_at, used_at)), default=None))
    return found


def _by_user(
    tx: Tx, table: sa.Table, user_ids: Collection[UUID], used_at: sa.Column[Any], *, good: sa.ColumnElement[bool]
) -> dict[UUID, tuple[int, datetime | None]]:
    """By user: how many rows are good, and when any was last used."""
    last = sa.func.max(used_at, type_=UtcTime())
    query = sa.select(table.c.user_id, sa.func.count().filter(good), last)
    rows = tx.execute(query.where(table.c.user_id.in_(user_ids)).group_by(table.c.user_id))
    return {user_id: (count, at) for user_id, count, at in rows}


def change(tx: Tx, user_id: UUID, **values: Any) -> User:
    """Change columns that end no session (name, language, time_zone, scheme, role); NotFound when nobody is there."""
    return _changed(tx, user_id, values)


def change_and_sign_out(tx: Tx, user_id: UUID, **values: Any) -> User:
    """Change what must end every session of the user (password, email, disabled_at, or nothing at all).

    Conflict when the e-mail is somebody else's. Whoever shall stay signed in needs a new session afterwards.
    """
    changed = _changed(tx, user_id, {**values, "token_version": users.c.token_version + 1})
    tx.execute(sa.delete(sessions).where(sessions.c.user_id == user_id))
    return changed


def disable(tx: Tx, user_id: UUID) -> User:
    """Let a user in no more, neither by session nor by key."""
    return change_and_sign_out(tx, user_id, disabled_at=now())


def reset_password(tx: Tx, user_id: UUID, *, version: int, password: str) -> User | None:
    """Set a password (a hash) if nothing has raised the user's ``token_version`` since; None when something has.

    Of several at once one wins. Nothing is set for who is disabled, or still to be set up.
    """
    as_it_was = (users.c.user_id == user_id, users.c.token_version == version)
    may = (users.c.disabled_at.is_(None), users.c.needs_setup.is_(sa.false()))
    values = {"password": password, "token_version": version + 1, "updated_at": now()}
    row = tx.execute(sa.update(users).where(*as_it_was, *may).values(values).returning(*users.c)).one_or_none()
    if row is None:
        return None
    tx.execute(sa.delete(sessions).where(sessions.c.user_id == user_id))
    return _record(row)


def _changed(tx: Tx, user_id: UUID, values: dict[str, Any]) -> User:
    changed = _update(tx, (users.c.user_id == user_id,), values)
    if changed is None:
        raise NotFound(f"User with ID {user_id} not found")
    return changed


def _update(tx: Tx, where: tuple[sa.ColumnElement[bool], ...], values: dict[str, Any]) -> User | None:
    statement = sa.update(users).where(*where).values(**values, updated_at=now())
    try:
        with tx.begin_nested():
            row = tx.execute(statement.returning(*users.c)).one_or_none()
    except sa.exc.IntegrityError as error:
        raise Conflict(f"There is an account with the e-mail {values.get('email')} already") from error
    return None if row is None else _record(row)


def is_last_admin(tx: Tx, user: User) -> bool:
    """Whether nobody else could administrate without this user. Locks the administrators' rows until the commit."""
    admins = sa.select(users.c.user_id).where(
        users.c.role == Role.ADMIN, users.c.disabled_at.is_(None), users.c.needs_setup.is_(sa.false())
    )
    found = [row.user_id for row in tx.execute(admins.order_by(users.c.user_id).with_for_update())]
    return found == [user.user_id]


def record(values: dict[str, Any]) -> User:
    """A user from the columns of a row."""
    return User(**{**values, "role": Role(values["role"])})


def _record(row: sa.Row[Any]) -> User:
    return record(dict(row._mapping))
