"""A beginning in time, as people write it: ``90m``, ``24h``, ``7d``, ``2w``, or ISO 8601."""

import re
from datetime import UTC, datetime, timedelta

from deerflow.errors import Invalid

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str, now: datetime) -> datetime:
    """The moment that is meant; without a zone it is UTC. Invalid for what is neither."""
    try:
        if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text, re.ASCII):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"since: '{text}' is neither a length such as 7d nor a time such as 2026-11-25T08:00Z") from error
