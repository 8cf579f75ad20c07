"""Shapes of API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from deerflow.api.wire.body import Label, Shape
from deerflow.api.wire.times import iso
from deerflow.domain.accounts import ApiKey, KeyState
from deerflow.domain.principal import Scope

_MOST_NAME = 100
_MOST_DAYS = 36_500


def _instant(value: Any) -> Any:
    """A time in text; numbers could be seconds or milliseconds."""
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a time such as 2027-01-31T00:00:00Z")
    return value


class KeyCreate(Shape):
    """Which key is wanted. Without ``expires_in_days`` and ``expires_at`` it is good until it is revoked."""

    name: Annotated[Label, Field(min_length=1, max_length=_MOST_NAME)]
    scope: Scope = Scope.RUN
    expires_in_days: Annotated[int, Field(ge=1, le=_MOST_DAYS, strict=True)] | None = None
    expires_at: Annotated[AwareDatetime, BeforeValidator(_instant)] | None = None

    @model_validator(mode="after")
    def _one_expiry_to_come(self) -> Self:
        if self.expires_in_days is not None and self.expires_at is not None:
            raise ValueError("Name expires_in_days or expires_at, not both")
        latest = datetime.now(UTC) + timedelta(days=_MOST_DAYS)
        if self.expires_at is not None and not datetime.now(UTC) < self.expires_at <= latest:
            raise ValueError(f"expires_at: must be in the future, at most {_MOST_DAYS} days from now")
        return self

    def expiry(self) -> datetime | None:
        """When it shall expire; None for never."""
        if self.expires_in_days is not None:
            return datetime.now(UTC) + timedelta(days=self.expires_in_days)
        return self.expires_at.astimezone(UTC) if self.expires_at is not None else None


class KeyShown(Shape):
    """An API key as lists show it; ``prefix`` tells keys apart."""

    key_id: UUID
    name: str
    prefix: str
    scope: Scope
    state: KeyState
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    last_used_at: Annotated[AwareDatetime | None, Field(description="True to the minute.")]
    revoked_at: AwareDatetime | None


class KeyMade(KeyShown):
    """A new API key."""

    key: Annotated[str, Field(description="The key itself; it is told this once and kept nowhere.")]
    state: Literal[KeyState.ACTIVE]


def present_key(key: ApiKey) -> dict[str, Any]:
    """A key as its owner reads it."""
    return {
        "key_id": str(key.key_id),
        "name": key.name,
        "prefix": key.prefix,
        "scope": key.scope.value,
        "state": key.state(datetime.now(UTC)).value,
        "created_at": iso(key.created_at),
        "expires_at": key.expires_at and iso(key.expires_at),
        "last_used_at": key.last_used_at and iso(key.last_used_at),
        "revoked_at": key.revoked_at and iso(key.revoked_at),
    }
