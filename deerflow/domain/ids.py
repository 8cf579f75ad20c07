"""Ids: UUIDs in their canonical form, and nothing else."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)

_CHECKPOINT_VERSION = 6
_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)


def new_id() -> UUID:
    """A time-ordered id (UUID version 7)."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def least_id(at: datetime) -> UUID:
    """No id that ``new_id`` has made before *at* is greater: ids can be compared instead of creation times."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def parse_id(text: str) -> UUID | None:
    """The UUID that *text* spells canonically; None for anything else, a trailing newline included."""
    return UUID(text) if _CANONICAL.fullmatch(text.lower()) else None


def time_of_checkpoint(checkpoint_id: str) -> datetime | None:
    """When LangGraph has made a checkpoint, which it names by a UUID of version 6; None for other names."""
    found = parse_id(checkpoint_id)
    if found is None or found.version != _CHECKPOINT_VERSION:
        return None
    return _GREGORIAN + timedelta(microseconds=_ticks(found) // 10)


def _ticks(checkpoint_id: UUID) -> int:
    """The 60 bits of time in a UUID of version 6: tenths of microseconds since 1582."""
    return (checkpoint_id.int >> 80) << 12 | (checkpoint_id.int >> 64) & 0xFFF
