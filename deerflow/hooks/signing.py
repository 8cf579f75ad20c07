"""Signatures as Standard Webhooks defines them, and the secret that makes them.

``webhook-signature`` is ``v1,`` and the base64 of the HMAC-SHA256 of ``<webhook-id>.<webhook-timestamp>.<body>``; of
each secret there is one, separated by spaces, so that a secret can be exchanged while receivers still know the old one.
"""

import base64
import hmac
import secrets
from pathlib import Path

from deerflow.errors import ConfigError
from deerflow.secret_file import kept
from deerflow.settings import Settings

_PREFIX = "whsec_"
_NEW_BYTES = 32
_FEWEST_BYTES = 24


def signature(keys: list[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    made = (base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)
    return " ".join(f"v1,{each}" for each in made)


def keys_of(text: str) -> list[bytes]:
    """The keys of one or more secrets separated by spaces; ConfigError says what is wrong, never the secret."""
    return [_key(each) for each in text.split()]


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if secret.startswith(_PREFIX) else b""
    except ValueError:
        key = b""
    if len(key) < _FEWEST_BYTES:
        raise ConfigError(f"A webhook secret must look like {_PREFIX}<base64 of at least {_FEWEST_BYTES} bytes>")
    return key


def secret_in_force(settings: Settings) -> str:
    """The one that is set, else the one kept in the data folder; empty when there is none."""
    if settings.webhook_secret or settings.webhook_secret_file is None:
        return settings.webhook_secret
    return kept_secret(settings.webhook_secret_file)


def new_secret() -> str:
    """A secret of its own."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def kept_secret(file: Path) -> str:
    """The secret in *file*, which is made now if it is not there. Who comes second uses the first one's."""
    return kept(file, new_secret(), kind="webhook secret")
