"""Passwords: argon2id hashes, and which passwords may be chosen.

19 MiB, 2 passes, 1 lane: OWASP's minimum, some 40 ms of one core. Hashing runs without Python's lock, so callers
give it to a real thread. Passwords are compared in Unicode's form NFKC and never cut.
"""

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from deerflow.auth.commonness import is_common
from deerflow.errors import Invalid

FEWEST, MOST = 8, 4096
_NOTICED = 3

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_nobodys = _hasher.hash(secrets.token_urlsafe(32))


def hash(password: str) -> str:  # noqa: A001 - passwords.hash reads as what it is
    """The argon2id hash that is stored of a password."""
    return _hasher.hash(_bytes(password))


def verify(password: str, kept: str | None) -> bool:
    """Whether *kept* is this password's hash. None, of who has no account, costs the same and is never right.

    One that is too long to be anybody's is not looked at: its normal form takes the square of its length.
    """
    if len(password) > MOST:
        return False
    try:
        right = _hasher.verify(kept or _nobodys, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return right and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other numbers than today's, so that it should be made anew at the next sign-in."""
    return _hasher.check_needs_rehash(kept)


def check(password: str, email: str | None = None) -> None:
    """Raise Invalid, with the reason, for a password that nobody should have."""
    normal = _normal(password) if len(password) <= MOST else password
    if len(normal) > MOST:  # one character may be eighteen in normal form
        raise Invalid(f"password: must not be longer than {MOST} characters")
    if len(normal) < FEWEST:
        raise Invalid(f"password: must have at least {FEWEST} characters")
    if email is not None and is_common(normal, _of_email(email)):
        raise Invalid("password: must not be made of your e-mail address")
    if is_common(normal):
        raise Invalid("password: is one of those that are tried first; take, say, four words that nothing connects")


def _of_email(email: str) -> frozenset[str]:
    """What an e-mail address is made of, as far as it would be noticed in a password."""
    local, _, host = _normal(email).lower().partition("@")
    return frozenset(
        {f"{local}@{host}", *(part for part in (local, host, host.split(".")[0]) if len(part) >= _NOTICED)}
    )


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")
