"""Writers for tests: what a worker does to a run's log."""

import asyncio
from contextlib import asynccontextmanager
from functools import wraps

from deerflow.events.connections import connect_async
from deerflow.events.writer import LogWriter

KEEP_BYTES = 64 << 20
"""As much as a log keeps by default."""


def on_a_loop(test):
    """Run an ``async def`` test on a loop of its own."""

    @wraps(test)
    def run(*args, **kwargs):
        return asyncio.run(asyncio.wait_for(test(*args, **kwargs), 120))

    return run


@asynccontextmanager
async def writing(url, run_id, *, attempt=1, known_upto=0, keep_bytes=KEEP_BYTES):
    """An open writer with a client of its own."""
    client = connect_async(url)
    pen = LogWriter(client, run_id, attempt, keep_bytes=keep_bytes)
    try:
        await pen.open(known_upto=known_upto)
        yield pen
    finally:
        await pen.close()
        await client.aclose()


async def say_all(pen, words, *, name="values"):
    """Say each of *words* and wait until all are stored."""
    for word in words:
        await pen.say(name, b"%d" % word)
    await pen.flush()


def said(url, run_id, words, **options):
    """The same from a test that has no loop."""

    async def speak():
        async with writing(url, run_id, **options) as pen:
            await say_all(pen, words)

    asyncio.run(speak())


def words_of(entries):
    """What was said, as numbers."""
    return [int(entry.data) for entry in entries]


def places_of(entries):
    """Where it stands."""
    return [entry.place for entry in entries]


def always():
    """The answer of a caller who may go on reading."""
    return True
