"""Measures of open streams: one run told to many, and many streams in which nothing happens.

The idle streams are those of runs that wait behind a sleeping one. What wakes them is said with the server's own
LogWriter, so the time runs from the append to the client's read.
"""

import asyncio
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from urllib.parse import urlsplit
from uuid import UUID

from bench.http import request_bytes
from bench.runs import Client, Figures, body
from bench.target import Target
from deerflow.events.connections import connect_async
from deerflow.events.writer import LogWriter

_RUNS_A_THREAD = 50
_OPEN_AT_ONCE = 100
_WAKES_A_SECOND = 200


class Reader(asyncio.Protocol):
    """One client of a stream: counts its events, notes when it was first and last told something."""

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events = 0
        self.first = self.last = 0.0
        self.woken: list[float] = []
        self.transport: asyncio.Transport
        self._path, self._headers = path, headers
        self._carry = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(request_bytes("GET", self._path, headers=self._headers))

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        now = time.perf_counter()
        if not self.opened.done() and data.startswith(b"HTTP/1.1 200"):
            self.opened.set_result(None)
        data = self._carry + data
        if data.endswith(b"\r\n0\r\n\r\n"):  # the end of it; the connection would go on
            self.transport.close()
        self._carry = data[-5:]
        if here := data.count(b"\r\nid: "):
            self._carry = data[-5:]
            self.events += here
            self.last, self.first = now, self.first or now
            for said in data.split(b"event: wake\r\ndata: ")[1:]:
                self.woken.append(now - float(said.split(b"\r\n", 1)[0]))

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell who waits for it."""
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"{self._path} was not answered"))
        if not self.closed.done():
            self.closed.set_result(None)


def fan_out(target: Target, *, readers: int, tokens: int) -> Figures:
    """Events a second delivered to all readers of one run together, once its first token is said."""
    client = Client(target)
    asked = {**body("tokens", messages=[], tokens=tokens, delay=1.0 + readers * 0.02), "stream_mode": "messages-tuple"}
    thread = client.thread()
    run = f"{thread}/runs/{client.http.call('POST', f'{thread}/runs', asked)['run_id']}"
    found = asyncio.run(_hear_to_the_end(target, [f"{run}/stream"] * readers))
    events = sum(reader.events for reader in found)
    if events < readers * tokens:
        raise RuntimeError(f"{events} of {readers * tokens} events were delivered")
    seconds = max(reader.last for reader in found) - min(reader.first for reader in found)
    return {f"fan-out to {readers}, events/s": events / seconds}


async def _hear_to_the_end(target: Target, paths: list[str]) -> list[Reader]:
    readers = await open_all(target, paths)
    await asyncio.gather(*(reader.closed for reader in readers))
    return readers


def idle(target: Target, *, streams: int, wakes: int, seconds: float) -> Figures:
    """Many streams of as many runs: held, memory, processor while idle, and how fast one of them is woken."""
    target.renew_web()
    with queued(Client(target), streams) as paths:
        return asyncio.run(_hold(target, paths, wakes, seconds))


@contextmanager
def queued(client: Client, streams: int) -> Iterator[list[str]]:
    """The paths of as many streams, of runs that do not start for a long time; they go at the end of the block."""
    threads = [client.thread() for _ in range(-(-streams // _RUNS_A_THREAD))]
    try:
        yield [f"{run}/stream" for thread in threads for run in _queue(client, thread)][:streams]
    finally:
        for thread in threads:
            client.http.call("DELETE", thread)


def _queue(client: Client, thread: str) -> list[str]:
    """Runs of one thread that do not start for a long time: one sleeps, the others wait for it."""
    client.start(thread, "sleep", seconds=3_600)
    asked = {**body("noop"), "multitask_strategy": "enqueue"}
    return [
        f"{thread}/runs/{client.http.call('POST', f'{thread}/runs', asked)['run_id']}" for _ in range(_RUNS_A_THREAD)
    ]


async def _hold(target: Target, paths: list[str], wakes: int, seconds: float) -> Figures:
    count = len(paths)
    await _hear_some(target, paths[:_OPEN_AT_ONCE])
    before = target.uss("web")
    readers = await open_all(target, paths)
    await asyncio.sleep(1.0)
    memory = target.uss("web") - before
    cpu = target.cpu_seconds("web")
    await asyncio.sleep(seconds)
    cpu = target.cpu_seconds("web") - cpu
    await wake_some(target, paths, wakes)
    woken = [took for reader in readers for took in reader.woken]
    held = sum(not reader.closed.done() for reader in readers)
    for reader in readers:
        reader.transport.abort()
    if len(woken) < wakes:
        raise RuntimeError(f"{len(woken)} of {wakes} wakes came")
    return {
        f"{count} idle streams held": held,
        f"KiB a stream of {count}": memory / count / 1024,
        f"web CPU % with {count} idle": cpu / seconds * 100,
        f"wake p50 among {count}": median(woken) * 1000,
        f"wake p99 among {count}": quantiles(woken, n=100)[-1] * 1000,
    }


async def _hear_some(target: Target, paths: list[str]) -> None:
    """Open some streams and close them: what the first ones need once and for all is not theirs."""
    for reader in await open_all(target, paths):
        reader.transport.abort()
    await asyncio.sleep(1.0)


async def wake_some(target: Target, paths: list[str], wakes: int) -> None:
    """Append one event to each of some streams' logs, evenly spaced, and wait until the last one must have come."""
    async with connect_async(target.settings().redis) as client:
        writers = [
            LogWriter(client, UUID(path.split("/")[4]), 1, keep_bytes=target.settings().log_bytes)
            for path in random.sample(paths, min(wakes, len(paths)))
        ]
        for writer in writers:
            await writer.open(known_upto=0)
        for number in range(wakes):
            await writers[number % len(writers)].say("wake", b"%.9f" % time.perf_counter())
            await asyncio.sleep(1 / _WAKES_A_SECOND)
        await asyncio.sleep(1.0)
        for writer in writers:
            await writer.close()


async def open_all(target: Target, paths: Iterable[str]) -> list[Reader]:
    """Open streams, some at a time, and wait until each is answered."""
    parts, loop, limit = urlsplit(target.url), asyncio.get_running_loop(), asyncio.Semaphore(_OPEN_AT_ONCE)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80

    async def open_one(path: str) -> Reader:
        async with limit:
            _, reader = await loop.create_connection(lambda: Reader(path, target.headers), host, port)
            await reader.opened
            return reader

    return await asyncio.gather(*(open_one(path) for path in paths))
