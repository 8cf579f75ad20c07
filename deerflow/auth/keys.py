"""API keys: ``df_`` and 43 characters that nobody can guess.

Stored as SHA-256: a slow hash would add nothing to 256 bits of chance.
"""

import hashlib
import secrets

_PREFIX = "df_"
_SHOWN = 8


def new_key() -> str:
    """A key that is nobody's yet."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """What is stored of a key, and looked up."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def prefix(key: str) -> str:
    """What lists show of a key."""
    return key[: len(_PREFIX) + _SHOWN]


def is_ours(text: str) -> bool:
    """Whether this looks like a key of this server, whosever it is."""
    return text.startswith(_PREFIX)
