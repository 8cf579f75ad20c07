"""Idempotency keys: the name that a client gives to a creation, so that its retry creates nothing more."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class IdempotencyKey:
    """One key as a request used it. ``fingerprint`` tells whether another use of it asks for the same."""

    text: str
    fingerprint: str


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What a request asks for, in short. *path*: without its mount. *body*: JSON in a canonical form."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()
