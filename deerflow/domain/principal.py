"""Who is calling and what they may touch."""

from dataclasses import dataclass

LOCAL = "local"
"""The one principal of auth mode ``none``."""

SYSTEM = "system"
"""Owner of the assistants that every graph gets by itself: read by all, changed by none."""

PERMISSIONS = frozenset(
    {
        "assistants:read",
        "threads:read",
        "threads:write",
        "threads:delete",
        "runs:create",
        "runs:read",
        "runs:cancel",
    }
)
"""Every permission that a route can ask for."""


@dataclass(frozen=True)
class Principal:
    """A caller. ``user_id`` owns what they create; storage reads see only what ``owns`` admits."""

    user_id: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """Whether this caller holds the permission."""
        return permission in self.permissions
