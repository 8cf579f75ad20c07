"""Crons: runs that are created again and again, and when.

A schedule has the five fields of crontab, or one of its names (``@daily``); it tells times on the clock of its zone.
Where that clock is changed the rules are cron's own:

- a time that is left out is made up for at the first moment after it;
- a time that comes twice counts once, the first time. A schedule that names every hour goes on in both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterError, croniter

from deerflow.domain.runs import RunSpec
from deerflow.domain.words import OnCompletion
from deerflow.errors import Invalid

_NAMES = frozenset({"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"})
_FIELDS = 5
_LONGEST = 255
_BY_CHANCE = re.compile(r"\b[hr]\b", re.IGNORECASE)
"""Fields that croniter would fill in by chance, another time at every look."""
_MOST_SHIFT = timedelta(hours=3)
"""No clock is ever put back by more."""


@dataclass(frozen=True)
class Cron:
    """One cron as its row tells it."""

    cron_id: UUID
    owner: str
    assistant_id: UUID
    thread_id: UUID | None
    """None: every run gets a thread of its own."""
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    """What its runs are created with, as the client wrote it."""
    spec: RunSpec
    """The same with every default decided."""
    user: dict[str, Any] | None
    """What graphs learn of its creator."""
    metadata: dict[str, Any]
    enabled: bool
    end_time: datetime | None
    next_run_at: datetime | None
    """When its next run is due; None: never again, or not as long as it is disabled."""
    on_run_completed: OnCompletion | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class CronFilter:
    """Which crons are looked for: all that is given has to hold. ``metadata`` has to be contained."""

    assistant_id: UUID | None = None
    thread_id: UUID | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None


def next_run(
    schedule: str, timezone: str | None, *, after: datetime, end_time: datetime | None, enabled: bool
) -> datetime | None:
    """When a cron's next run after *after* is due; None: never again, or not as long as it is disabled."""
    found = next_fire(schedule, timezone, after)
    return found if enabled and (end_time is None or found <= end_time) else None


def next_fire(schedule: str, timezone: str | None, after: datetime) -> datetime:
    """The first moment after *after* that a schedule names, in UTC; *timezone*: an IANA name, None is UTC.

    Invalid says what is wrong with the schedule or the zone.
    """
    fields, zone = _fields(schedule), _zone(timezone)
    local = after.astimezone(zone)
    found = _first(fields, zone, local.replace(tzinfo=None, fold=0), after, fold=0)
    if _names_every_hour(fields) and _is_near_a_change(after, zone):
        begin = local.replace(tzinfo=None, fold=0) - _MOST_SHIFT
        found = min(found, _first(fields, zone, begin, after, fold=1))
    return found


def _first(fields: str, zone: tzinfo, begin: datetime, after: datetime, *, fold: int) -> datetime:
    """The first moment after *after*. Times that come twice mean their first coming, or (*fold* 1) their second.

    *begin*: a time on the zone's clock; no earlier one can be meant.
    """
    return next(moment for wall in _walls(fields, begin) if (moment := _moment(wall, zone, fold)) > after)


def _walls(fields: str, begin: datetime) -> Iterator[datetime]:
    """The times after *begin* that a schedule names, on a clock that is never changed."""
    times = croniter(fields, begin)
    while True:
        try:
            yield times.get_next(datetime)
        except CroniterError as error:
            raise Invalid(f"Invalid cron schedule: '{fields}' names no day that ever comes") from error


def _moment(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    """When the zone's clock shows a time; of a time that is left out the first moment after."""
    moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    # One reading of a time that is left out lies before the change, the other one after it.
    readings = [wall.replace(tzinfo=zone, fold=each).astimezone(UTC) for each in (0, 1)]
    return _change(min(readings), max(readings), zone)


def _change(before: datetime, behind: datetime, zone: tzinfo) -> datetime:
    """The first whole second of the offset that holds at *behind*; at *before* another one does."""
    offset = behind.astimezone(zone).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = (before + (behind - before) / 2).replace(microsecond=0)
        before, behind = (before, middle) if middle.astimezone(zone).utcoffset() == offset else (middle, behind)
    return behind


def _is_near_a_change(at: datetime, zone: tzinfo) -> bool:
    offsets = {(at + shift).astimezone(zone).utcoffset() for shift in (-_MOST_SHIFT, _MOST_SHIFT)}
    return len(offsets) > 1


def _names_every_hour(fields: str) -> bool:
    hours = croniter(fields).expanded[1]
    return hours == ["*"] or len(hours) == 24  # noqa: PLR2004 - a day's hours


def _fields(schedule: str) -> str:
    """A schedule that croniter understands as crontab does; Invalid for all else."""
    text = " ".join(schedule.split())
    usual = len(text.split()) == _FIELDS or text.lower() in _NAMES
    if len(text) <= _LONGEST and usual and not _BY_CHANCE.search(text):
        try:
            croniter(text)
        except (CroniterError, ValueError) as error:
            raise Invalid(_wrong(schedule)) from error
        return text
    raise Invalid(_wrong(schedule))


def _wrong(schedule: str) -> str:
    return (
        f"Invalid cron schedule: '{schedule[:_LONGEST]}'. Name minute, hour, day of month, month and day of week, "
        "for example '*/5 * * * *' for every 5 minutes"
    )


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    if name not in _zones():
        raise Invalid(f"Invalid timezone: '{name[:_LONGEST]}'. Use an IANA name, for example 'America/New_York'")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
