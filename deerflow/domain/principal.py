"""Who is calling and what they may touch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

LOCAL = "local"
"""The one principal of auth mode ``none``."""

SYSTEM = "system"
"""Owner of the assistants that every graph gets by itself: read by all, changed by administrators."""

READ = frozenset({"assistants:read", "threads:read", "runs:read", "crons:read", "store:read", "account:read"})
"""To look at one's own things, and at who one is."""

RUN = READ | {
    "assistants:write", "threads:write", "threads:delete", "runs:create", "runs:cancel", "crons:write", "store:write",
}  # fmt: skip
"""All that LangGraph's clients do."""

KEYS = frozenset({"keys:read", "keys:write"})
"""To list, make and revoke one's own API keys."""

ACCOUNT = frozenset({"account:read", "account:write"})
"""One's own account. To change it, and to look at its sessions, one has to be signed in: no key may."""

THINGS = RUN - ACCOUNT
"""All that is LangGraph's: what a project's own handlers decide about, and all that their callers may do."""

ADMINISTRATION = frozenset({"users:read", "users:write", "audit:read", "system:read"})
"""Everybody's accounts, and how the server does; of administrators only."""

PERMISSIONS = RUN | KEYS | ACCOUNT | ADMINISTRATION
"""Every permission that a route can ask for."""


class Role(StrEnum):
    """What a user is."""

    ADMIN = "admin"
    USER = "user"


class Scope(StrEnum):
    """What an API key is for."""

    READ = "read"
    RUN = "run"
    ADMIN = "admin"


SCOPES: dict[Scope, frozenset[str]] = {
    Scope.READ: READ,
    Scope.RUN: RUN,
    Scope.ADMIN: RUN | KEYS | ADMINISTRATION,
}
"""The table of scopes. A key never may more than its user: see ``permissions_of``."""


def permissions_of(role: Role, scope: Scope | None) -> frozenset[str]:
    """What a user may: signed in (*scope* None), or through a key of theirs."""
    of_user = PERMISSIONS if role is Role.ADMIN else PERMISSIONS - ADMINISTRATION
    return of_user if scope is None else of_user & SCOPES[scope]


class Proof(StrEnum):
    """How a caller has proved who they are."""

    NONE = "none"
    SESSION = "session"
    KEY = "key"
    HEADER = "header"
    HANDLER = "handler"


@dataclass(frozen=True)
class Principal:
    """A caller. ``user_id`` owns what they create; storage reads see only that."""

    user_id: str
    permissions: frozenset[str]
    proof: Proof = Proof.NONE
    credential: UUID | None = None
    """The session's or key's id; None for the other proofs."""
    user: dict[str, Any] | None = None
    """What graphs learn of the caller as ``langgraph_auth_user``; it has an ``identity``. None: nothing."""
    filters: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """By resource, the metadata that a handler of the project wants a thing to have; it replaces the owner there."""

    @property
    def unfiltered(self) -> "Principal":
        """The same caller, who sees what they own."""
        return replace(self, filters={}) if self.filters else self

    @property
    def administers(self) -> bool:
        """Whether what is the system's is this caller's to change: an administrator's, or of who is alone here."""
        return self.user_id == LOCAL or self.permissions >= ADMINISTRATION

    def may(self, permission: str) -> bool:
        """Whether this caller holds the permission."""
        return permission in self.permissions
