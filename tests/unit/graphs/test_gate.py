"""The gate: who may write, and what is tried again."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from deerflow.errors import Fenced
from deerflow.graphs.gate import Gate, is_away


async def nothing() -> None:
    pass


def failing(*errors: Exception) -> tuple[Callable[[], Awaitable[str]], list[Exception]]:
    """An act that fails in these ways, one after the other, and then succeeds; and what is left to fail."""
    left = list(errors)

    async def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return act, left


def busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), psycopg.InterfaceError("closed"), busy()])
def test_a_database_that_is_away_is_waited_for(error):
    act, left = failing(error, error)
    assert asyncio.run(Gate(nothing, lambda: True).write(act)) == "done"
    assert left == []


@pytest.mark.parametrize(
    "error", [psycopg.ProgrammingError("no such table"), sqlite3.OperationalError("no such table"), ValueError("mine")]
)
def test_what_would_fail_again_is_told_at_once(error):
    act, _ = failing(error)
    with pytest.raises(type(error)):
        asyncio.run(Gate(nothing, lambda: True).write(act))
    assert not is_away(error)


def test_the_lease_ends_the_waiting():
    lasts = iter([True, True, False])
    act, left = failing(*[psycopg.OperationalError("gone")] * 9)
    with pytest.raises(Fenced, match="lease"):
        asyncio.run(Gate(nothing, lambda: next(lasts)).write(act))
    assert len(left) == 7


def test_the_trigger_of_sqlite_means_fenced():
    act, _ = failing(sqlite3.IntegrityError("fenced"))
    with pytest.raises(Fenced):
        asyncio.run(Gate(nothing, lambda: True).write(act))
    act, _ = failing(sqlite3.IntegrityError("UNIQUE constraint failed"))
    with pytest.raises(sqlite3.IntegrityError):
        asyncio.run(Gate(nothing, lambda: True).write(act))


def test_nothing_comes_after_it_has_settled():
    """A write that is under way when the gate is shut is waited for; a later one is refused."""
    said = []

    async def main():
        gate, go_on = Gate(nothing, lambda: True), asyncio.Event()

        async def slow():
            await go_on.wait()
            said.append("written")

        writing = asyncio.create_task(gate.write(slow))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gate.shut()
        settling = asyncio.create_task(gate.settled())
        await asyncio.sleep(0)
        assert not settling.done()
        go_on.set()
        await settling
        said.append("settled")
        await writing
        with pytest.raises(Fenced):
            await gate.write(slow)

    asyncio.run(main())
    assert said == ["written", "settled"]


def test_a_cancelled_write_is_whole():
    said = []

    async def main():
        async def slow():
            await asyncio.sleep(0.01)
            said.append("written")

        writing = asyncio.create_task(Gate(nothing, lambda: True).write(slow))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        said.append("cancelled")

    asyncio.run(main())
    assert said == ["written", "cancelled"]


def test_only_checkpoints_wait_for_what_was_said():
    """scenario 56"""
    said = []

    async def before():
        said.append("flushed")

    async def main():
        gate = Gate(before, lambda: True)
        await gate.write(nothing)
        assert said == []
        await gate.checkpoint(nothing)

    asyncio.run(main())
    assert said == ["flushed"]
