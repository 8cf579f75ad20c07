"""Accounts: users, their sessions and their API keys."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from deerflow.domain.principal import Principal, Proof, Role, Scope, permissions_of
from deerflow.errors import Invalid

FIRST_ADMIN = UUID("00000000-0000-7000-8000-00000000ad01")
"""The id of the administrator that every installation begins with: fixed, so that of many starts one makes the row."""

_LONGEST_NAME = 255
_LONGEST_EMAIL = 400
"""As somebody types it: to bring a long text into Unicode's normal form takes the square of its length."""
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255}")


class Standing(StrEnum):
    """What an account is good for."""

    ACTIVE = "active"
    INVITED = "invited"
    """There is no password yet: nobody has signed in with one."""
    UNFINISHED = "unfinished"
    """The first administrator, as long as set-up is open."""
    DISABLED = "disabled"


@dataclass(frozen=True)
class User:
    """One account. ``user_id`` as text owns what they make. ``password`` is its argon2id hash, never the password."""

    user_id: UUID
    email: str | None
    name: str | None
    role: Role
    password: str | None
    needs_setup: bool
    token_version: int
    disabled_at: datetime | None
    language: str | None
    time_zone: str | None
    scheme: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def owner(self) -> str:
        """Under which name rows belong to this user."""
        return str(self.user_id)

    @property
    def can_sign_in(self) -> bool:
        """Whether there is a password that this user may sign in with."""
        return self.password is not None and self.disabled_at is None and not self.needs_setup

    @property
    def standing(self) -> Standing:
        """What the account is good for where one signs in with a password."""
        if self.needs_setup:
            return Standing.UNFINISHED
        if self.disabled_at is not None:
            return Standing.DISABLED
        return Standing.INVITED if self.password is None else Standing.ACTIVE


@dataclass(frozen=True)
class Credentials:
    """What somebody can be let in by: how many good ones, and when one was last used, true to the minute."""

    sessions: int = 0
    keys: int = 0
    seen_at: datetime | None = None


@dataclass(frozen=True)
class Session:
    """A signed-in browser. ``last_seen_at`` is true to the minute."""

    session_id: UUID
    user_id: UUID
    browser: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


class KeyState(StrEnum):
    """What has become of an API key."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class ApiKey:
    """An API key as lists show it; the key itself is kept nowhere."""

    key_id: UUID
    user_id: UUID
    name: str
    prefix: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> KeyState:
        """Whether it opens anything, by the clock of whoever asks."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        return KeyState.EXPIRED if self.expires_at is not None and self.expires_at <= now else KeyState.ACTIVE


@dataclass(frozen=True)
class AuditEntry:
    """Something that was done, or tried, to accounts and to what they protect."""

    entry_id: UUID
    at: datetime
    actor: str | None
    action: str
    subject: str | None
    address: str | None
    detail: dict[str, Any]


def canonical_email(text: str) -> str:
    """An e-mail address as it is stored and compared: trimmed, in lower case. Invalid when it cannot be one."""
    typed = text.strip()
    email = unicodedata.normalize("NFKC", typed).lower() if len(typed) <= _LONGEST_EMAIL else ""
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise Invalid("email: must be an e-mail address, such as ada@example.com")
    return email


def canonical_name(text: str) -> str:
    """The name of an account: an e-mail address, or what a proxy calls its user. Invalid when it cannot be one."""
    name = text.strip()
    if not name or "," in name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise Invalid(f"a name has 1 to {_LONGEST_NAME} printable characters and no comma")
    return canonical_email(name) if "@" in name else name


def principal_of(user: User, *, proof: Proof, credential: UUID | None = None, scope: Scope | None = None) -> Principal:
    """The caller that a user is: signed in, or through a key of this scope."""
    permissions = permissions_of(user.role, scope)
    told = {
        "identity": user.owner,
        "display_name": user.name or user.email or "",
        "email": user.email,
        "is_authenticated": True,
        "permissions": sorted(permissions),
    }
    return Principal(user.owner, permissions, proof, credential, told)
