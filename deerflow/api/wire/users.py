"""Shapes of everybody's accounts, for administrators, and of the audit."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from deerflow.api.wire.account import Email, Name, Password, UserShown, present_user
from deerflow.api.wire.body import Shape
from deerflow.api.wire.times import iso
from deerflow.domain.accounts import AuditEntry, User
from deerflow.domain.principal import Role


class UserCreate(Shape):
    """Body of a new account; its owner chooses the password, by the link that the answer tells."""

    email: Email
    role: Role = Role.USER
    name: Name | None = None


class UserPatch(Shape):
    """Body of a change to somebody's account; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None
    name: Name | None = None


class AccountShown(UserShown):
    """An account as administrators see it."""

    needs_setup: bool
    has_password: bool
    disabled_at: AwareDatetime | None


class ResetToken(Shape):
    """What lets somebody set a password, once."""

    reset_token: Annotated[str, Field(description="Told this once; good for a day.")]


class AccountMade(AccountShown, ResetToken):
    """A new account."""


class EntryShown(Shape):
    """An entry of the audit."""

    entry_id: UUID
    at: AwareDatetime
    actor: str | None
    action: str
    subject: str | None
    address: str | None
    detail: dict[str, Any]


class PasswordReset(Shape):
    """Body of a password that is set by a link's token."""

    token: str
    password: Password


def present_account(user: User) -> dict[str, Any]:
    """An account as administrators see it."""
    shown = {
        "needs_setup": user.needs_setup,
        "has_password": user.password is not None,
        "disabled_at": iso(user.disabled_at) if user.disabled_at else None,
    }
    return present_user(user) | shown


def present_entry(entry: AuditEntry) -> dict[str, Any]:
    """An entry of the audit."""
    return {**vars(entry), "entry_id": str(entry.entry_id), "at": iso(entry.at)}
