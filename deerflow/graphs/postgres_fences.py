"""A thread's token in Postgres: how a claim raises it, and transactions that only its holder can make."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection
from psycopg.errors import DivisionByZero
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from deerflow.errors import Fenced
from deerflow.graphs.gate import FENCED

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]

RAISE_FENCE = (
    "INSERT INTO fences (thread_id, token) VALUES (%(thread)s, %(token)s) "
    "ON CONFLICT (thread_id) DO UPDATE SET token = excluded.token WHERE fences.token < excluded.token"
)
# Fails unless the token is the thread's, so that nobody has to wait for its answer; holds it until the end if it is.
REQUIRE = """
SELECT 1 / count(*) FROM
  (SELECT 1 FROM fences WHERE thread_id = %(thread)s AND token = %(token)s FOR SHARE) AS ours
"""


@asynccontextmanager
async def one_go(pool: Pool) -> AsyncIterator[AsyncConnection[DictRow]]:
    """A transaction whose statements are sent without waiting for each other, unless somebody asks for a row."""
    try:
        # In this order: a pipeline around the transaction costs more, and would find the error after the COMMIT.
        async with pool.connection() as connection, connection.transaction(), connection.pipeline():
            yield connection
    except DivisionByZero:
        raise Fenced(FENCED) from None


@asynccontextmanager
async def behind_fence(pool: Pool, thread_id: str, token: int) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Such a transaction, for whoever holds the thread's token; Fenced, perhaps at its end, for everybody else."""
    async with one_go(pool) as connection:
        await connection.execute(REQUIRE, {"thread": thread_id, "token": token})
        yield connection
