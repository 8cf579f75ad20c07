"""Shapes of accounts."""

from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field

from deerflow.api.wire.body import Label, Shape
from deerflow.api.wire.times import iso
from deerflow.auth.passwords import MOST
from deerflow.domain.accounts import Session, User
from deerflow.domain.principal import Role


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("must be a time zone, such as Europe/Berlin or UTC") from error
    return name


Email = Annotated[str, Field(max_length=400)]
Password = Annotated[str, Field(max_length=MOST)]
Name = Annotated[Label, Field(max_length=200)]
TimeZone = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_time_zone)]
Language = Literal["en-US", "zh-CN"]
Colours = Literal["system", "light", "dark"]


class Login(Shape):
    """Body of a sign-in. ``remember``: the cookie outlives the browser."""

    email: Email
    password: Password
    remember: bool = False


class Registration(Shape):
    """Body of a new account of one's own."""

    email: Email
    password: Password
    name: Name | None = None


class Initialization(Registration):
    """Body of the set-up. ``token``: that of the one-time link."""

    token: Annotated[str, Field(max_length=1_000)]
    language: Language | None = None


class SetUpStatus(Shape):
    """What is known of set-up."""

    status: Literal["needed", "not_needed", "unknown"]


class ProfilePatch(Shape):
    """Body of a change to one's profile: what is left out stays, null empties."""

    name: Name | None = None
    language: Language | None = None
    time_zone: TimeZone | None = None
    scheme: Colours | None = None

    def changes(self) -> dict[str, Any]:
        """The columns that change."""
        return {name: getattr(self, name) or None for name in self.model_fields_set}


class PasswordChange(Shape):
    """Body of a new password."""

    password: Password
    new_password: Password


class EmailChange(Shape):
    """Body of a new e-mail."""

    password: Password
    email: Email


class UserShown(Shape):
    """An account as its owner reads it."""

    user_id: str
    email: str | None = None
    name: str | None = None
    role: Role | None = None
    language: Language | None = None
    time_zone: str | None = None
    scheme: Annotated[Colours | None, Field(description="Light or dark pages.")] = None
    created_at: AwareDatetime | None = None


class Token(Shape):
    """What a browser sends in ``X-CSRFToken``."""

    csrf_token: str


class Me(Shape):
    """Who is calling; ``csrf_token`` is there with a session."""

    user: UserShown
    permissions: list[str]
    csrf_token: str | None = None


class SessionShown(Shape):
    """A signed-in browser; ``last_seen_at`` is true to the minute."""

    session_id: UUID
    browser: str
    address: str
    created_at: AwareDatetime
    last_seen_at: AwareDatetime
    expires_at: AwareDatetime
    current: bool


class Ended(Shape):
    """How many sessions there were to end."""

    ended: int


def present_user(user: User) -> dict[str, Any]:
    """A user on the wire."""
    return {
        "user_id": user.owner,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "language": user.language,
        "time_zone": user.time_zone,
        "scheme": user.scheme,
        "created_at": iso(user.created_at),
    }


def present_session(session: Session, *, is_current: bool) -> dict[str, Any]:
    """A session on the wire."""
    return {
        "session_id": str(session.session_id),
        "browser": session.browser,
        "address": session.address,
        "created_at": iso(session.created_at),
        "last_seen_at": iso(session.last_seen_at),
        "expires_at": iso(session.expires_at),
        "current": is_current,
    }
