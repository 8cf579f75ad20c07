"""What our part of the checkpoint store costs, in a process of its own: real savers, no server, no JSON.

``python -m bench.stores URL RUNS`` prints figures as JSON. The runs of every kind take turns, so that what else the
machine does meets all of them alike.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from redis.asyncio import Redis

from bench.graphs import five, held
from deerflow.events import embedded
from deerflow.events.connections import connect_async
from deerflow.events.writer import LogWriter
from deerflow.graphs.gate import Gate
from deerflow.graphs.savers import Savers, open_savers, set_up

_WARM = 10
_STEPS = 5
_LOG_BYTES = 64 << 20


async def _nothing_before() -> None:
    return


def _always() -> bool:
    return True


async def official_run(saver: BaseCheckpointSaver[Any]) -> float:
    """Seconds that a run of five steps takes with the official saver."""
    started = time.perf_counter()
    await _play(five, saver, uuid4(), uuid4())
    return time.perf_counter() - started


async def fenced_run(savers: Savers) -> float:
    """The same with ours, claim and end included."""
    thread = uuid4()
    started = time.perf_counter()
    run = uuid4()
    await _play(five, await savers.for_run(thread, 1, Gate(_nothing_before, _always), run_id=run), thread, run)
    await savers.let_go(thread, 1)
    return time.perf_counter() - started


async def told_run(savers: Savers, redis: Redis, *, wait: bool) -> float:
    """The same with a log into which the run's events go; *wait*: no checkpoint before the log has been stored."""
    thread, run = uuid4(), uuid4()
    writer = LogWriter(redis, run, 1, keep_bytes=_LOG_BYTES)
    await writer.open(known_upto=0)
    started = time.perf_counter()
    gate = Gate(writer.flush if wait else _nothing_before, _always)
    saver = await savers.for_run(thread, 1, gate, run_id=run)
    await _play(five, saver, thread, run, writer=writer)
    await savers.let_go(thread, 1)
    took = time.perf_counter() - started
    await writer.close()
    return took


async def rolled_back(savers: Savers) -> tuple[float, float]:
    """Seconds that a run's checkpoint writes took, and those of its rollback: cancelled in its sixth step."""
    thread, first, run = uuid4(), uuid4(), uuid4()
    await _play(five, await savers.for_run(thread, 1, Gate(_nothing_before, _always), run_id=first), thread, first)
    saver = await savers.for_run(thread, 2, Gate(_nothing_before, _always), run_id=run)
    wrote = _timed(saver)
    said = asyncio.Event()
    playing = asyncio.create_task(_play(held, saver, thread, run, said=said, durability="sync"))
    await said.wait()
    await _stands_at(saver, thread, run, _STEPS)
    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing
    started = time.perf_counter()
    await savers.roll_back(thread, 2, run)
    took = time.perf_counter() - started
    await savers.let_go(thread, 2)
    return sum(wrote), took


async def _play(
    graph: Any,
    saver: BaseCheckpointSaver[Any],
    thread: UUID,
    run: UUID,
    *,
    writer: LogWriter | None = None,
    said: asyncio.Event | None = None,
    durability: str = "async",
) -> None:
    """Run a graph; its values go to *writer*, and *said* is set with those of its fifth step."""
    ids = {"thread_id": str(thread), "run_id": str(run)}
    config: RunnableConfig = {"configurable": ids, "metadata": ids}
    parts = graph.copy(update={"checkpointer": saver}).astream(
        {"n": 0, "seconds": 60.0}, config, stream_mode="values", durability=durability
    )
    async for values in parts:
        if writer is not None:
            await writer.say("values", json.dumps(values).encode())
        if said is not None and values["n"] == _STEPS:
            said.set()


def _timed(saver: Any) -> list[float]:
    """The seconds of each of its writes from now on."""
    seconds: list[float] = []

    def timed(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def act(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return await write(*args, **kwargs)
            finally:
                seconds.append(time.perf_counter() - started)

        return act

    saver.aput, saver.aput_writes = timed(saver.aput), timed(saver.aput_writes)
    return seconds


async def _stands_at(saver: BaseCheckpointSaver[Any], thread: UUID, run: UUID, n: int) -> None:
    """Wait until the newest checkpoint is one of the run's that has counted to *n*."""
    config: RunnableConfig = {"configurable": {"thread_id": str(thread), "checkpoint_ns": ""}}
    while True:
        head = await saver.aget_tuple(config)
        at = head.checkpoint["channel_values"].get("n") if head is not None else None
        if head is not None and at == n and head.metadata["source"] == "loop" and head.metadata["run_id"] == str(run):
            return
        await asyncio.sleep(0.002)


@asynccontextmanager
async def _official(url: str, savers: Savers) -> AsyncIterator[BaseCheckpointSaver[Any]]:
    """The official saver as we open it: a connection of its own with our options, or our pool."""
    if not url.startswith("sqlite:///"):
        reader = savers.reader()
        assert isinstance(reader, AsyncPostgresSaver)
        yield reader
        return
    async with aiosqlite.connect(url.removeprefix("sqlite:///") + "-official") as connection:
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield saver


@asynccontextmanager
async def _valkey(folder: Path) -> AsyncIterator[Redis]:
    path = folder / "v.sock"
    process = await asyncio.create_subprocess_exec(*embedded.command(folder, path))
    try:
        while not path.exists():  # noqa: ASYNC110 - nothing tells of a socket that comes
            await asyncio.sleep(0.01)
        async with connect_async(f"unix://{path}") as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def measure(url: str, runs: int) -> dict[str, float]:
    """All figures of one checkpoint store; milliseconds and ratios.

    Runs of a few milliseconds: the lower quartile is compared, that of the runs which nothing else has disturbed.
    """
    await set_up(url)
    kinds: dict[str, list[float]] = {"official": [], "ours": [], "told": [], "waiting": []}
    rollbacks: list[tuple[float, float]] = []
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(_valkey(Path(stack.enter_context(TemporaryDirectory(prefix="dfb-")))))
        savers = await stack.enter_async_context(open_savers(url))
        official = await stack.enter_async_context(_official(url, savers))
        for _ in range(_WARM + runs):
            kinds["official"].append(await official_run(official))
            kinds["ours"].append(await fenced_run(savers))
            kinds["told"].append(await told_run(savers, redis, wait=False))
            kinds["waiting"].append(await told_run(savers, redis, wait=True))
            rollbacks.append(await rolled_back(savers))
    quiet = {kind: quantiles(seconds[_WARM:], n=4)[0] for kind, seconds in kinds.items()}
    wrote, back = zip(*rollbacks[_WARM:], strict=True)
    ratios = [ours / theirs for ours, theirs in zip(kinds["ours"], kinds["official"], strict=True)][_WARM:]
    return {
        "5 steps, official saver, ms": quiet["official"] * 1000,
        "5 steps, ours over official": quiet["ours"] / quiet["official"],
        "5 steps, ours over official, median of turns": median(ratios),
        "5 steps, waiting for the log over not": quiet["waiting"] / quiet["told"],
        "a run's checkpoint writes, ms": median(wrote) * 1000,
        "rollback, checkpoints, ms": median(back) * 1000,
        "rollback over its run's writes": median(b / w for w, b in zip(wrote, back, strict=True)),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))) + "\n")
