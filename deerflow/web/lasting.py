"""How long something took, in the words of the reader's language."""

from datetime import timedelta
from typing import Any

from flask_babel import format_decimal, gettext

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def lasting(length: timedelta | None) -> str:
    """A length of time with two units at most; empty when it is not known."""
    if length is None:
        return ""
    return str(_told(max(length.total_seconds(), 0.0)))


def _told(seconds: float) -> Any:
    if seconds < 1:
        return gettext("%(n)s ms", n=round(seconds * 1_000))
    if seconds < _MINUTE:
        return gettext("%(n)s s", n=format_decimal(round(seconds, 1), "0.0"))
    whole = round(seconds)
    if whole < _HOUR:
        return gettext("%(m)s min %(s)s s", m=whole // _MINUTE, s=whole % _MINUTE)
    if whole < _DAY:
        return gettext("%(h)s h %(m)s min", h=whole // _HOUR, m=whole % _HOUR // _MINUTE)
    return gettext("%(d)s d %(h)s h", d=whole // _DAY, h=whole % _DAY // _HOUR)
