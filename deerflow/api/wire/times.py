"""Times on the wire."""

from datetime import datetime


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds: ``2026-11-22T07:29:43.010826+00:00``."""
    return at.isoformat(timespec="microseconds")
