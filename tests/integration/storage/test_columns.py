"""What goes into a column comes out of it, on both databases alike."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from deerflow.domain.threads import ThreadFilter, ThreadHead
from deerflow.storage import thread_search
from deerflow.storage.models import runs
from deerflow.storage.types import epoch_ms, now
from tests.factories import OWNER, finish_run, make_run, make_running, row_of, set_columns, thread_of


def nested(depth):
    value = "leaf"
    for _ in range(depth):
        value = [value]
    return value


SURVIVORS = {
    "none": None,
    "nothing": {},
    "none inside": {"a": None, "b": [None]},
    "emoji": "\U0001f98c \U0001f469\u200d\U0001f680",
    "quotes and escapes": "'; DROP TABLE runs; -- \" \\ \\n \n",
    "an escape written out": "\\u0000 and \\\\u0000",
    "odd separators": "\u2028\u2029\ufeff\uffff",
    "an empty key": {"": 1, " ": 2, "a.b[0]": 3, "$": 4},
    "numbers": [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 1.5, 1e-300, 0.1],
    "big": "x" * 1_000_000,
    "deep": nested(200),
}
NUL = {
    "a\0b": "a\ufffdb",
    "\0\0": "\ufffd\ufffd",
    "\\\0": "\\\ufffd",
    "\\u0000\0": "\\u0000\ufffd",
}


@pytest.mark.parametrize("value", SURVIVORS.values(), ids=SURVIVORS)
def test_json_survives(backend, value):
    run = make_run(backend, input=value, metadata={"m": value})
    assert row_of(backend, run).kwargs["input"] == value
    assert row_of(backend, run).metadata["m"] == value


@pytest.mark.parametrize("value", [0, 7, -1.5, 2**63 - 1, True, "text", "7", "", [1]], ids=repr)
def test_a_state_that_is_no_object_survives_and_hides_no_other_thread(backend, value):
    """SQLite has no type for JSON, and takes numbers for numbers."""
    run = make_running(backend)
    assert finish_run(backend, run, head=ThreadHead(value, (), {}))
    found = thread_of(backend, run).values
    assert (found, type(found)) == (value, type(value))
    with backend.db.read() as tx:
        page = {"sort_by": "created_at", "descending": True, "limit": 9, "offset": 0}
        assert thread_search.search(tx, OWNER, ThreadFilter(values={"a": "b"}), **page) == []
        assert [each.values for each in thread_search.search(tx, OWNER, ThreadFilter(), **page)] == [value]


@pytest.mark.parametrize(("written", "read"), NUL.items(), ids=map(ascii, NUL))
def test_nul_which_one_of_the_databases_refuses_becomes_the_replacement_character(backend, written, read):
    run = make_run(backend, input={written: written})
    assert row_of(backend, run).kwargs["input"] == {read: read}


def test_what_a_run_leaves_survives_on_its_thread(backend):
    run = make_running(backend)
    left = {"messages": ["\U0001f98c", None], "nul": "\0"}
    assert finish_run(backend, run, head=ThreadHead(values=left, next=(), interrupts={"task": [{"id": "1"}]}))
    thread = thread_of(backend, run)
    assert thread.values == left | {"nul": "\ufffd"}
    assert thread.interrupts == {"task": [{"id": "1"}]}


def test_a_missing_json_value_is_null_in_sql(backend):
    """A state of None would otherwise be told apart from no state on one database only."""
    run = make_running(backend)
    assert finish_run(backend, run, head=ThreadHead(values=None, next=(), interrupts={}))
    with backend.db.read() as tx:
        assert tx.scalar(sa.text('SELECT count(*) FROM threads WHERE "values" IS NULL AND error IS NULL')) == 1


TIMES = [
    datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2500, 1, 1, tzinfo=UTC),
    datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=45))),
]


@pytest.mark.parametrize("at", TIMES, ids=str)
def test_a_time_survives_to_the_microsecond_and_comes_back_in_utc(backend, at):
    run = make_run(backend)
    set_columns(backend, run, lease_until=at)
    read = row_of(backend, run).lease_until
    assert read == at
    assert read.tzinfo is UTC


def test_times_are_compared_as_times_in_the_database(backend):
    run = make_run(backend)
    set_columns(backend, run, lease_until=TIMES[-1])
    with backend.db.read() as tx:
        for other, earlier in ((TIMES[-1] - timedelta(microseconds=1), False), (TIMES[1], True)):
            found = tx.scalar(sa.select(runs.c.run_id).where(runs.c.lease_until < other))
            assert (found is not None) is earlier


def test_the_databases_clock_is_the_hosts_and_counts_microseconds(backend):
    before = datetime.now(UTC)
    with backend.db.read() as tx:
        first, second, later = (tx.scalar(sa.select(now(offset))) for offset in (0.0, 0.0, 90.5))
        milliseconds = tx.scalar(sa.select(epoch_ms()))
    after = datetime.now(UTC)
    assert before <= first < second <= after
    assert timedelta(seconds=90.5) <= later - second <= timedelta(seconds=90.5) + (after - before)
    assert before.timestamp() - 0.001 <= milliseconds / 1_000 <= after.timestamp() + 0.001
