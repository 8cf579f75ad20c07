"""Which request headers a run's graph sees in its ``configurable``, and the name of the request."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any
from uuid import uuid4

from deerflow.project import HeaderRule

_NEVER = frozenset(
    {"authorization", "cookie", "proxy-authorization", "x-api-key", "x-csrf-token", "x-service-key", "x-tenant-id"}
)
"""Secrets, and claims of who is calling: whatever langgraph.json says, they stay here."""

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


def configurable_of(headers: Iterable[tuple[str, str]], rule: HeaderRule) -> dict[str, Any]:
    """The headers that *rule* lets through by their lower-case names, and the caller's request id, or a new one."""
    given = {name.lower(): value for name, value in headers}
    shown: dict[str, Any] = {name: value for name, value in given.items() if _passes(name, rule)}
    request_id = given.get("x-request-id", "")
    shown["langgraph_request_id"] = request_id if _REQUEST_ID.fullmatch(request_id) else str(uuid4())
    return shown


def _passes(name: str, rule: HeaderRule) -> bool:
    return name not in _NEVER and _matches(name, rule.include) and not _matches(name, rule.exclude)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
