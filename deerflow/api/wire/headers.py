"""Which request headers a run's graph sees in its ``configurable``."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from deerflow.project import HeaderRule

_NEVER = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrf-token", "x-service-key", "x-tenant-id"}
)
"""Secrets, and claims of who is calling: whatever langgraph.json says, they stay here."""


def configurable_of(headers: Iterable[tuple[str, str]], rule: HeaderRule, request_id: str) -> dict[str, Any]:
    """The headers that *rule* lets through by their lower-case names, and the request's name."""
    given = {name.lower(): value for name, value in headers}
    shown: dict[str, Any] = {name: value for name, value in given.items() if _passes(name, rule)}
    return {**shown, "langgraph_request_id": request_id}


def _passes(name: str, rule: HeaderRule) -> bool:
    return name not in _NEVER and _matches(name, rule.include) and not _matches(name, rule.exclude)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
