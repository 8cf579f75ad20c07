"""Signatures as Standard Webhooks defines them, and the secret that makes them.

``webhook-signature`` is ``v1,`` and the base64 of the HMAC-SHA256 of ``<webhook-id>.<webhook-timestamp>.<body>``; of
each secret there is one, separated by spaces, so that a secret can be exchanged while receivers still know the old one.
"""

import base64
import hmac
import logging
import os
import secrets
from pathlib import Path

from deerflow.errors import ConfigError
from deerflow.settings import Settings

log = logging.getLogger(__name__)

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
    try:
        if not file.exists():
            _make(file)
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"The webhook secret {file} cannot be kept: {error.strerror}") from error


def _make(file: Path) -> None:
    """Write a new secret aside and link it into its place: there is never half of one, and never a second one."""
    file.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    aside = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as new:
        new.write(new_secret() + "\n")
        new.flush()
        os.fsync(new.fileno())
    try:
        os.link(aside, file)
        log.info("A secret for webhook signatures was made", extra={"file": str(file)})
    except FileExistsError:
        pass
    finally:
        aside.unlink()
