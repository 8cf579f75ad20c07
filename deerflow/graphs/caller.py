"""Who is calling, as user code sees it: handlers as ``ctx.user``, graphs as ``langgraph_auth_user``."""

from collections.abc import Sequence
from typing import Any


class Caller(dict[str, Any]):
    """A user by item (``user["identity"]``) and by attribute (``user.identity``): the SDK's ``BaseUser``."""

    @property
    def identity(self) -> str:
        """The handler's own name for this user."""
        return str(self["identity"])

    @property
    def display_name(self) -> str:
        """What people call them."""
        return str(self.get("display_name") or self["identity"])

    @property
    def is_authenticated(self) -> bool:
        """Always, or there would be none."""
        return bool(self.get("is_authenticated", True))

    @property
    def permissions(self) -> Sequence[str]:
        """The handler's own words, which open no route."""
        return list(self.get("permissions") or [])

    def __getattr__(self, name: str) -> Any:
        """What the project's ``authenticate`` has added."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None
