"""One-time links: a signed token that names a user and the ``token_version`` that it is good for.

Using one raises the version, so that it and all others of the user are spent; nothing has to be stored.
"""

from dataclasses import dataclass
from uuid import UUID

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from deerflow.domain.accounts import User
from deerflow.domain.ids import parse_id
from deerflow.errors import Forbidden

SET_UP = "set-up"
RESET = "reset-password"
RESET_SECONDS = 86_400


@dataclass(frozen=True)
class Link:
    """Whom a token is for, and their ``token_version`` when it was made."""

    user_id: UUID
    version: int


def sign(secrets: list[str], purpose: str, link: Link) -> str:
    """A token for one purpose; the first secret signs."""
    return str(_serializer(secrets, purpose).dumps([str(link.user_id), link.version]))


def read(secrets: list[str], purpose: str, token: str, *, seconds: int | None) -> Link:
    """What a token of this purpose says; Forbidden when it is older than that (None: at no age), or none of ours."""
    try:
        user_id, version = _serializer(secrets, purpose).loads(token, max_age=seconds)
        found = parse_id(user_id)
    except SignatureExpired as error:
        raise Forbidden("This link has expired; ask for a new one") from error
    except (BadData, ValueError, TypeError, AttributeError) as error:
        raise Forbidden("This link is not one of this server; copy it whole, or ask for a new one") from error
    if found is None or not isinstance(version, int):
        raise Forbidden("This link is not one of this server; copy it whole, or ask for a new one")
    return Link(found, version)


def set_up_path(secrets: list[str], waiting: User) -> str:
    """Where the administrator who is waited for is set up: the one-time link, without the server's address."""
    token = sign(secrets, SET_UP, Link(waiting.user_id, waiting.token_version))
    return f"/console/setup?token={token}"


def reset_path(secrets: list[str], link: Link) -> str:
    """Where the account's owner sets a password, once; without the server's address."""
    return f"/console/password?token={sign(secrets, RESET, link)}"


def _serializer(secrets: list[str], purpose: str) -> URLSafeTimedSerializer:
    """Itsdangerous wants the oldest secret first, and signs with the last."""
    return URLSafeTimedSerializer(secrets[::-1], salt=f"deerflow {purpose}")
