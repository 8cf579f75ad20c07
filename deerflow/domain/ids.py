"""Ids: UUIDs in their canonical form, and nothing else."""

import re
from datetime import datetime
from uuid import UUID

import uuid_utils

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


def new_id() -> UUID:
    """A time-ordered id (UUID version 7)."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def least_id(at: datetime) -> UUID:
    """No id that ``new_id`` has made before *at* is greater: ids can be compared instead of creation times."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def parse_id(text: str) -> UUID | None:
    """The UUID that *text* spells canonically; None for anything else, a trailing newline included."""
    return UUID(text) if _CANONICAL.fullmatch(text.lower()) else None
