"""Shapes of the long-term store."""

from typing import Annotated, Any, Literal, Self

from flask import Request
from pydantic import AfterValidator, BaseModel, Field, StrictBool

from deerflow.api.wire.body import Shape, or_absent
from deerflow.auth.values import item_named
from deerflow.authz import granted
from deerflow.errors import BadRequest
from deerflow.project import LONGEST_TTL_MINUTES

_LONGEST = 1_024
"""Bytes of a key, and of a namespace: both together are what Postgres finds an item by, and that may have 2,704."""
_LONGEST_PATH = 256
_MOST_PATHS = 32
_MOST = 10_000


def _label(label: str) -> str:
    if not label or "." in label:
        raise ValueError(f"Namespace label {label!r} must be a non-empty string without periods")
    return label


def _short(most: int, length: int, what: str) -> None:
    if length > most:
        raise ValueError(f"must not be longer than {most} bytes, {what}")


def _key(key: str) -> str:
    _short(_LONGEST, len(key.encode()), "which a key is found by")
    return key


def _path(path: str) -> str:
    _short(_LONGEST_PATH, len(path.encode()), "which a field is found by")
    return path


def _labels(labels: list[str]) -> list[str]:
    _short(_LONGEST, sum(len(label.encode()) + 1 for label in labels), "its labels together")
    return labels


Namespace = Annotated[list[Annotated[str, AfterValidator(_label)]], AfterValidator(_labels)]
Prefix = Annotated[Namespace, or_absent([])]
Key = Annotated[str, AfterValidator(_key)]
Paths = Annotated[list[Annotated[str, AfterValidator(_path)]], Field(max_length=_MOST_PATHS)]
Offset = Annotated[int, Field(ge=0, le=2**31), or_absent(0)]


def _limit(default: int) -> Any:
    return Annotated[int, Field(ge=0, le=_MOST), or_absent(default)]


class ItemName(Shape):
    """What names an item."""

    namespace: Namespace
    key: Key

    def asked(self) -> dict[str, Any]:
        """What the state worker is asked; BadRequest for a namespace that nobody can have."""
        if not self.namespace:
            raise BadRequest("Namespace cannot be empty.")
        if self.namespace[0] == "langgraph":
            raise BadRequest('Root label for namespace cannot be "langgraph".')
        return self.model_dump()


class ItemPut(ItemName):
    """Body of a put. ``index``: false, or what of the item is embedded; null: what langgraph.json says."""

    value: dict[str, Any]
    index: Literal[False] | Paths | None = None
    ttl: float | None = Field(default=None, gt=0, le=LONGEST_TTL_MINUTES, strict=True)
    """Minutes; null: what langgraph.json says, or for ever."""


class ItemRead(ItemName):
    """Query of a look at one item."""

    refresh_ttl: bool | None = None

    @classmethod
    def of_query(cls, request: Request) -> Self:
        """What the query names, as a handler of the project leaves it."""
        body = granted(request)
        named = item_named(request.args) if body is None else body
        if not named.get("key"):
            raise BadRequest("Key is required")
        return cls.check(named)


class ItemSearch(Shape):
    """Body of a search."""

    namespace_prefix: Prefix = Field(default_factory=list)
    filter: dict[str, Any] | None = None
    limit: _limit(10) = 10  # type: ignore[valid-type]
    offset: Offset = 0
    query: str | None = None
    refresh_ttl: StrictBool | None = None

    def asked(self) -> dict[str, Any]:
        """What the state worker is asked."""
        asked = self.model_dump()
        return {"namespace": asked.pop("namespace_prefix"), **asked}


class Namespaces(Shape):
    """Body of a list of namespaces."""

    prefix: Prefix = Field(default_factory=list)
    suffix: Prefix = Field(default_factory=list)
    max_depth: int | None = Field(default=None, ge=0, le=_LONGEST)
    limit: _limit(100) = 100  # type: ignore[valid-type]
    offset: Offset = 0

    def asked(self) -> dict[str, Any]:
        """What the state worker is asked."""
        return self.model_dump()


class StoreItem(BaseModel):
    """An item."""

    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: str
    updated_at: str


class FoundItem(StoreItem):
    """An item of a search; ``score`` is null unless it was one by meaning."""

    score: float | None


class FoundItems(BaseModel):
    """The answer of a search."""

    items: list[FoundItem]


class Stored(BaseModel):
    """The answer of a list of namespaces."""

    namespaces: list[list[str]]
