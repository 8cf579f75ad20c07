"""Rows of sessions: signed-in browsers. One that has ended has no row, on any machine, from the commit on."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from deerflow.domain.accounts import Session, User
from deerflow.domain.ids import new_id
from deerflow.errors import NotFound
from deerflow.storage import users as user_rows
from deerflow.storage.database import Tx
from deerflow.storage.models import sessions, users
from deerflow.storage.types import now

_SEEN_SECONDS = 60.0
_MOST_TEXT = 400
_MOST = 100
"""Sessions of one user: a script that signs in each time, instead of using a key, must not fill the table."""


def begin(tx: Tx, user: User, *, browser: str, address: str, seconds: int) -> Session:
    """Begin a session that ends after *seconds* without a request; of very many the least seen one makes room."""
    theirs = sessions.c.user_id == user.user_id
    last_seen = sa.select(sessions.c.session_id).where(theirs).order_by(sessions.c.last_seen_at.desc())
    tx.execute(sa.delete(sessions).where(theirs, sessions.c.session_id.not_in(last_seen.limit(_MOST - 1))))
    row = {
        "session_id": new_id(),
        "user_id": user.user_id,
        "browser": browser[:_MOST_TEXT],
        "address": address[:_MOST_TEXT],
        "expires_at": now(float(seconds)),
    }
    return Session(**tx.execute(sa.insert(sessions).values(row).returning(*sessions.c)).one()._mapping)


def find(tx: Tx, session_id: UUID, *, version: int) -> tuple[Session, User, bool] | None:
    """A session that is still good, its user, and whether it is time to note that it was seen.

    None when it has ended, or its cookie is of an older *version*.
    """
    row = tx.execute(_FIND, {"sid": session_id, "ver": version}).one_or_none()
    if row is None:
        return None
    session = Session(**{c.name: row._mapping[c] for c in sessions.c})
    return session, user_rows.record({c.name: row._mapping[c] for c in users.c}), row.due


_FIND = (
    sa.select(sessions, users, (sessions.c.last_seen_at < now(-_SEEN_SECONDS)).label("due"))
    .join(users, users.c.user_id == sessions.c.user_id)
    .where(
        sessions.c.session_id == sa.bindparam("sid"),
        users.c.token_version == sa.bindparam("ver"),
        users.c.disabled_at.is_(None),
        sessions.c.expires_at > now(),
    )
)


def good(tx: Tx, session_ids: Collection[UUID]) -> set[UUID]:
    """Which of these sessions have not ended. One whose user's version was raised has no row any more."""
    query = (
        sa.select(sessions.c.session_id)
        .join(users, users.c.user_id == sessions.c.user_id)
        .where(
            sessions.c.session_id.in_(session_ids),
            users.c.disabled_at.is_(None),
            sessions.c.expires_at > now(),
        )
    )
    return set(tx.scalars(query))


def note_seen(tx: Tx, session_id: UUID, *, address: str, seconds: int) -> bool:
    """Note a request, once a minute at most: the session lasts *seconds* from now. Whether it was noted."""
    due = sa.and_(sessions.c.session_id == session_id, sessions.c.last_seen_at < now(-_SEEN_SECONDS))
    values = {"last_seen_at": now(), "expires_at": now(float(seconds)), "address": address[:_MOST_TEXT]}
    return tx.execute(sa.update(sessions).where(due).values(values)).rowcount == 1


def of_user(tx: Tx, user_id: UUID) -> list[Session]:
    """A user's sessions, last seen first."""
    query = sa.select(sessions).where(sessions.c.user_id == user_id, sessions.c.expires_at > now())
    return [Session(**row._mapping) for row in tx.execute(query.order_by(sessions.c.last_seen_at.desc()))]


def addresses(tx: Tx, email: str) -> set[str]:
    """From where the user with a canonical e-mail is signed in."""
    query = sa.select(sessions.c.address).join(users, users.c.user_id == sessions.c.user_id)
    return set(tx.scalars(query.where(users.c.email == email, sessions.c.expires_at > now())))


def discard(tx: Tx, session_id: UUID) -> None:
    """End a session, if it is still there, by who holds its cookie."""
    tx.execute(sa.delete(sessions).where(sessions.c.session_id == session_id))


def end(tx: Tx, user_id: UUID, session_id: UUID) -> None:
    """End one session of a user; NotFound when it is nobody's or somebody else's."""
    ours = (sessions.c.session_id == session_id, sessions.c.user_id == user_id)
    if tx.execute(sa.delete(sessions).where(*ours)).rowcount != 1:
        raise NotFound(f"Session with ID {session_id} not found")


def end_others(tx: Tx, user_id: UUID, *, but: UUID) -> int:
    """End all sessions of a user but one; how many there were."""
    others = (sessions.c.user_id == user_id, sessions.c.session_id != but)
    return tx.execute(sa.delete(sessions).where(*others)).rowcount


def remove_expired(tx: Tx, *, limit: int) -> int:
    """Remove at most *limit* rows of sessions that have ended by themselves; how many there were."""
    expired = sa.select(sessions.c.session_id).where(sessions.c.expires_at <= now()).limit(limit)
    return tx.execute(sa.delete(sessions).where(sessions.c.session_id.in_(expired))).rowcount
