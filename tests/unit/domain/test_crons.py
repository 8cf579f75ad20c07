"""When crons fire: schedules, zones, and clocks that are changed."""

from datetime import UTC, datetime, timedelta

import pytest

from deerflow.domain.crons import next_fire, next_run
from deerflow.errors import Invalid

BERLIN, NEW_YORK, LORD_HOWE, CAIRO = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def fires(schedule: str, zone: str | None, after: str, count: int) -> list[str]:
    """The next moments, in UTC."""
    found, moment = [], at(after)
    for _ in range(count):
        moment = next_fire(schedule, zone, moment)
        assert moment.tzinfo is UTC
        found.append(f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00"))
    return found


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("*/5 * * * *", None, "2026-11-22 07:37:01", ["2026-11-22 07:40", "2026-11-22 07:45"]),
        ("40 7 * * *", None, "2026-11-22 07:40", ["2026-11-23 07:40"]),
        ("0 12 * * *", BERLIN, "2026-11-22 07:00", ["2026-11-22 11:00"]),
        ("0 12 * * *", BERLIN, "2026-07-22 07:00", ["2026-07-22 10:00"]),
        ("0 0 * * mon", NEW_YORK, "2026-11-22 07:00", ["2026-11-23 05:00"]),
        ("0 0 * jan *", None, "2026-11-22 07:00", ["2027-01-01 00:00"]),
        ("0 0 l * *", None, "2027-02-01 07:00", ["2027-02-28 00:00"]),
        ("0 0 29 2 *", None, "2026-11-22 07:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 13 * 5", None, "2026-11-02 00:00", ["2026-11-06 00:00", "2026-11-13 00:00"]),
        ("@hourly", None, "2026-11-22 07:37", ["2026-11-22 08:00"]),
        (" 0  0\t* * * ", None, "2026-11-22 07:37", ["2026-11-23 00:00"]),
    ],
)
def test_a_schedule_names_moments(schedule: str, zone: str | None, after: str, expected: list[str]) -> None:
    assert fires(schedule, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("30 2 * * *", BERLIN, "2027-03-27 00:00", ["2027-03-27 01:30", "2027-03-28 01:00", "2027-03-29 00:30"]),
        ("30 2 * * *", NEW_YORK, "2027-03-13 12:00", ["2027-03-14 07:00", "2027-03-15 06:30"]),
        ("0 2,3 * * *", BERLIN, "2027-03-27 03:00", ["2027-03-28 01:00", "2027-03-29 00:00"]),
        ("*/20 2 * * *", BERLIN, "2027-03-27 03:00", ["2027-03-28 01:00", "2027-03-29 00:00"]),
        ("*/30 * * * *", BERLIN, "2027-03-28 00:00", ["2027-03-28 00:30", "2027-03-28 01:00", "2027-03-28 01:30"]),
        ("0 0 * * *", CAIRO, "2026-04-22 22:00", ["2026-04-23 22:00", "2026-04-24 21:00"]),
    ],
)
def test_a_time_that_is_left_out_is_made_up_for_once(schedule: str, zone: str, after: str, expected: list[str]) -> None:
    """At the first moment after it, when clocks are put forward."""
    assert fires(schedule, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("30 2 * * *", BERLIN, "2026-10-24 02:00", ["2026-10-25 00:30", "2026-10-26 01:30"]),
        ("30 1 * * *", NEW_YORK, "2026-11-01 04:00", ["2026-11-01 05:30", "2026-11-02 06:30"]),
        ("0 */2 * * *", BERLIN, "2026-10-24 23:00", ["2026-10-25 00:00", "2026-10-25 03:00"]),
        ("30 2 * * *", BERLIN, "2026-10-25 01:10", ["2026-10-26 01:30"]),
    ],
)
def test_a_time_that_comes_twice_counts_once(schedule: str, zone: str, after: str, expected: list[str]) -> None:
    """The first time, when clocks are put back."""
    assert fires(schedule, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "begin", "minutes"),
    [
        ("*/30 * * * *", BERLIN, "2026-10-24 22:00", 30),
        ("30 0-23 * * *", NEW_YORK, "2026-11-01 03:30", 60),
        ("*/15 * * * *", LORD_HOWE, "2026-04-04 13:00", 15),
        ("*/15 * * * *", LORD_HOWE, "2026-10-03 13:00", 15),
        ("@hourly", BERLIN, "2027-03-27 22:00", 60),
    ],
)
def test_a_schedule_of_every_hour_goes_on_evenly(schedule: str, zone: str, begin: str, minutes: int) -> None:
    """Whatever is done to the clocks."""
    expected = [f"{at(begin) + timedelta(minutes=minutes * n):%Y-%m-%d %H:%M}" for n in range(1, 13)]
    assert fires(schedule, zone, begin, 12) == expected


@pytest.mark.parametrize(
    "schedule",
    [
        "", "bad", "* * * *", "* * * * * *", "* * * * * * *", "@reboot", "@often", "60 * * * *", "* 24 * * *",
        "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "-1 * * * *", "R * * * *", "h * * * *", "R(1-5) * * * *",
        "٣ * * * *", "* * * * mon#9", "? * * * *", "0 0 31 2 *", "0 0 30 feb *", "1," * 300 + "1 * * * *", "\0 * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    """So is one whose day never comes, and what croniter would decide by chance."""
    with pytest.raises(Invalid, match="Invalid cron schedule: '"):
        next_fire(schedule, None, at("2026-11-22 07:00"))


@pytest.mark.parametrize("zone", ["Mars/X", "", "europe/berlin", "America", "../etc/passwd", "/etc/localtime", "\0"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(Invalid, match="Invalid timezone: '"):
        next_fire("* * * * *", zone, at("2026-11-22 07:00"))


def test_nothing_fires_after_the_end_nor_while_disabled() -> None:
    """The end itself is not after it."""
    told = {"after": at("2026-11-22 07:00"), "end_time": at("2026-11-22 08:00"), "enabled": True}
    assert next_run("0 8 * * *", None, **told) == at("2026-11-22 08:00")
    assert next_run("1 8 * * *", None, **told) is None
    assert next_run("0 8 * * *", None, **told | {"enabled": False}) is None
    with pytest.raises(Invalid):
        next_run("bad", None, **told | {"enabled": False})
