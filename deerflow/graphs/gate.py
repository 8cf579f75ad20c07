"""Gate: what stands between one run and everything that it stores.

A write passes when its attempt is not over and its lease lasts. It is done whole: a cancel that comes while it is
under way waits for its end. And it is done: a database that is away for a moment makes the write wait, not fail, for
as long as the lease lasts.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import psycopg

from deerflow.errors import Fenced

T = TypeVar("T")

log = logging.getLogger(__name__)

FENCED = "fenced: this attempt is over"
_RETRY_SECONDS = 0.25

_SQLITE_AWAY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Gate:
    """The gate of one attempt. *before*: awaited ahead of each checkpoint; *alive*: whether its lease lasts."""

    def __init__(self, before: Callable[[], Awaitable[None]], alive: Callable[[], bool]) -> None:
        self._before = before
        self._alive = alive
        self._open = True
        self._writing: set[asyncio.Task[Any]] = set()

    def shut(self) -> None:
        """Refuse all further writes: the first line, in memory; the store's own fence is the second."""
        self._open = False

    async def settled(self) -> None:
        """Wait until no write is under way: with the gate shut, nothing comes after this."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def checkpoint(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Let one write of the graph's state pass, after what its step has said."""
        await self._before()
        return await self.write(write)

    async def write(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Let one write pass, whole.

        A write cut in half would leave SQLite's shared connection inside a transaction and lock out everybody.
        """
        task = asyncio.ensure_future(self.insist(write))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    async def insist(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do *act*, again while the database is away; Fenced when the attempt is over before it comes back."""
        told = False
        while True:
            if not self._open:
                raise Fenced(FENCED)
            if not self._alive():
                raise Fenced("The lease has run out")
            try:
                return await act()
            except sqlite3.IntegrityError as error:
                if "fenced" in str(error):
                    raise Fenced(FENCED) from error
                raise
            except (psycopg.Error, sqlite3.OperationalError) as error:
                if not is_away(error):
                    raise
                if not told:
                    log.warning("The checkpoint store does not answer; trying again", extra={"reason": error})
                    told = True
            await asyncio.sleep(_RETRY_SECONDS)


def is_away(error: Exception) -> bool:
    """Whether the database could not be reached or is busy, so that the same may succeed in a moment."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    if isinstance(error, psycopg.errors.ProgramLimitExceeded):  # a name too long for its index stays so
        return False
    lost = psycopg.OperationalError | psycopg.InterfaceError | psycopg.errors.IdleInTransactionSessionTimeout
    return isinstance(error, lost)
