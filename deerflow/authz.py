"""Authorization: every route declares its permission; apart from authentication (``identity.py``)."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from deerflow.domain.principal import ACCOUNT, ADMINISTRATION, KEYS, LOCAL, PERMISSIONS
from deerflow.errors import Conflict, Forbidden
from deerflow.identity import principal

P = ParamSpec("P")
R = TypeVar("R")

PUBLIC = "public"
"""What a route declares that anybody may call."""


def requires(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only callers with this permission into a view."""
    assert permission in PERMISSIONS, permission

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            require(permission)
            return view(*args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]
        return checked

    return decorate


def require(permission: str) -> None:
    """Raise Forbidden unless the caller has this permission; Conflict where nobody can have it."""
    caller = principal()
    if not caller.may(permission):
        if caller.user_id == LOCAL and permission in KEYS | ACCOUNT | ADMINISTRATION:
            raise Conflict("Accounts are switched off (DEERFLOW_AUTH=none)")
        raise Forbidden(f"This needs the permission {permission}")


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Declare a view that anybody may call."""
    view.permission = PUBLIC  # type: ignore[attr-defined]
    return view
