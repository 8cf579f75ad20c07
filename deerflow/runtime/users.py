"""Administrate accounts, for the API and the command line alike: one act a function, noted in the audit.

Every act takes the caller's transaction. *actor* is who does it (None: the command line), *address* where from.
"""

from dataclasses import dataclass

from deerflow.auth.links import Link
from deerflow.domain.accounts import User, canonical_email, canonical_name
from deerflow.domain.principal import Role
from deerflow.errors import Conflict, Forbidden, NotFound
from deerflow.runtime.set_up import finish_set_up
from deerflow.storage import audit, users
from deerflow.storage.database import Tx


@dataclass(frozen=True)
class By:
    """Who does it, and where from."""

    actor: str | None = None
    address: str | None = None


def create_user(tx: Tx, email: str, *, role: Role, password: str | None, name: str | None, by: By) -> User:
    """Add an account; *password* is a hash, None when it is still to be set by a link. Conflict when there is one."""
    user = users.create(tx, canonical_email(email), role=role, password=password, name=name)
    _note(tx, "user.create", user, by, email=user.email, role=user.role.value)
    return user


def create_by_command(tx: Tx, email: str, *, role: Role, password: str, name: str | None) -> User:
    """Add an account that can sign in; the first administrator finishes set-up, and nobody else comes before.

    So all that the principal ``local`` has made becomes theirs, as by the link.
    """
    if not users.needs_set_up(tx):
        return create_user(tx, email, role=role, password=password, name=name, by=By())
    if role is not Role.ADMIN:
        raise Conflict("There is no administrator yet: create the administrator first, with --admin")
    waiting = users.open_set_up(tx)
    if waiting is None:
        return create_user(tx, email, role=role, password=password, name=name, by=By())
    canonical = canonical_email(email)
    return finish_set_up(tx, canonical, password=password, version=waiting.token_version, name=name)


def find_user(tx: Tx, email: str) -> User:
    """The account with this e-mail, however it is spelled; NotFound when there is none."""
    found = users.find_by_email(tx, canonical_name(email))
    if found is None:
        raise NotFound(f"There is no account with the e-mail {email}; list them with: flask --app app users list")
    return found


def change_role(tx: Tx, user: User, role: Role, by: By) -> User:
    """Make somebody an administrator, or a user again; Conflict for the last administrator."""
    if user.role is role:
        return user
    _require_set_up(user)
    if role is Role.USER:
        _require_another_admin(tx, user)
    _note(tx, "user.promote" if role is Role.ADMIN else "user.demote", user, by, email=user.email)
    return users.change(tx, user.user_id, role=role)


def disable_user(tx: Tx, user: User, by: By) -> User:
    """Let an account sign in no more: its sessions and keys open nothing from the commit on. It keeps its things."""
    if user.disabled_at is not None:
        return user
    _require_set_up(user)
    _require_another_admin(tx, user)
    _note(tx, "user.disable", user, by, email=user.email)
    return users.disable(tx, user.user_id)


def enable_user(tx: Tx, user: User, by: By) -> User:
    """Let a disabled account sign in again; its keys are good again, sessions have to be begun anew."""
    if user.disabled_at is None:
        return user
    _note(tx, "user.enable", user, by, email=user.email)
    return users.change(tx, user.user_id, disabled_at=None)


def reset_password(tx: Tx, user: User, password: str, by: By) -> User:
    """Give an account another password (a hash); all its sessions end, and links that were made for it are spent."""
    _require_set_up(user)
    _note(tx, "password.reset", user, by, email=user.email)
    return users.change_and_sign_out(tx, user.user_id, password=password)


def reset_link(tx: Tx, user: User, by: By) -> Link:
    """What a link has to say that lets its bearer set this account's password, once. Making one ends nothing."""
    _require_set_up(user)
    _note(tx, "password.link", user, by, email=user.email)
    return Link(user.user_id, user.token_version)


def follow_reset_link(tx: Tx, link: Link, password: str, by: By) -> User:
    """Set the password (a hash) that the bearer of a link wants; Forbidden when it is spent, also by somebody now."""
    user = users.reset_password(tx, link.user_id, version=link.version, password=password)
    if user is None:
        raise Forbidden("This link has been used, or something else has changed the account since; ask for a new one")
    audit.note(tx, "password.reset", actor=user.owner, subject=user.owner, address=by.address, email=user.email)
    return user


def end_sessions(tx: Tx, user: User, by: By) -> User:
    """Sign somebody out everywhere."""
    _note(tx, "session.end", user, by, email=user.email, which="all")
    return users.change_and_sign_out(tx, user.user_id)


def owner_of(tx: Tx, who: str | None) -> str | None:
    """The owner that is meant by an e-mail, or by an id that the audit shows."""
    return find_user(tx, who).owner if who is not None and "@" in who else who


def _require_set_up(user: User) -> None:
    if user.needs_setup:
        raise Conflict("This administrator is still to be set up; finish set-up first")


def _require_another_admin(tx: Tx, user: User) -> None:
    if users.is_last_admin(tx, user):
        raise Conflict("This is the last administrator; make somebody else one first")


def _note(tx: Tx, action: str, user: User, by: By, **detail: str | None) -> None:
    audit.note(tx, action, actor=by.actor, subject=user.owner, address=by.address, **detail)
