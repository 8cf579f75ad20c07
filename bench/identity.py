"""Measures of what it costs to know who is calling: a key or a session on a request, and logins beside open streams."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from statistics import median, quantiles

from bench.http import Connection
from bench.runs import Client, Figures, ms
from bench.streams import Reader, open_all, queued, wake_some
from bench.target import HERE, Target, own_server
from tests.browser import browser, sign_in
from tests.live import ADMIN

_CALM_SECONDS = 1.0


def callers(target: Target, *, times: int) -> Figures:
    """A GET of a thread without accounts, and of a server with them by key and by session, request by request."""
    if target.environment().get("DEERFLOW_AUTH") != "none":
        sys.stderr.write("callers: left out, the server is not in mode none\n")
        return {}
    with own_server("accounts") as guarded:
        nobody = _get(target, {})
        by_key, by_session = _get(guarded, guarded.headers), _get(guarded, _session(guarded))
        took: list[list[float]] = [[], [], []]
        for _ in range(times):
            for get, seconds in zip((nobody, by_key, by_session), took, strict=True):
                seconds.append(get())
    without, key, session = (median(seconds) for seconds in took)
    return {
        "get p50, no accounts": ms(without),
        "get p50, key": ms(key),
        "get p50, session": ms(session),
        "a key adds to a get, ms": ms(key - without),
        "a session adds to a get, ms": ms(session - without),
    }


def _get(target: Target, headers: dict[str, str]) -> Callable[[], float]:
    """Gets a thread, again and again on one connection; seconds."""
    path, connection = Client(target).thread(), Connection(target.url, headers)

    def get() -> float:
        started = time.perf_counter()
        connection.call("GET", path)
        return time.perf_counter() - started

    return get


def _session(target: Target) -> dict[str, str]:
    """Sign in; the header that shows it."""
    with browser(target.url) as opened:
        sign_in(opened, *ADMIN).raise_for_status()
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in opened.cookies.items())}


def logins(_target: Target, *, clients: int, streams: int, wakes: int, rounds: int) -> Figures:
    """How fast open streams are woken beside clients that log in nonstop, and without them, in turns."""
    believing = own_server("accounts", DEERFLOW_TRUSTED_PROXIES="127.0.0.1")
    with believing as target, queued(Client(target), streams) as paths:
        return asyncio.run(_beside(target, paths, wakes, clients, rounds))


async def _beside(target: Target, paths: list[str], wakes: int, clients: int, rounds: int) -> Figures:
    readers, rates = await open_all(target, paths), list[dict[str, float]]()
    found: dict[bool, list[float]] = {False: [], True: []}
    for stormy in [False, True] * rounds:
        with _storm(target, clients, rates) if stormy else nullcontext():
            await asyncio.sleep(_CALM_SECONDS)
            found[stormy] += await _woken(target, paths, readers, wakes)
    for reader in readers:
        reader.transport.abort()
    calm, storm = found[False], found[True]
    answered = {f"logins/s answered {status}": rate for status, rate in rates[-1].items()}
    return answered | {
        f"wake p99 without logins, {len(paths)} streams": ms(quantiles(calm, n=100)[-1]),
        f"wake p50 beside {clients} clients logging in": ms(median(storm)),
        f"wake p99 beside {clients} clients logging in": ms(quantiles(storm, n=100)[-1]),
    }


async def _woken(target: Target, paths: list[str], readers: list[Reader], wakes: int) -> list[float]:
    """Seconds from the append of an event to its reader."""
    for reader in readers:
        reader.woken.clear()
    await wake_some(target, paths, wakes)
    took = [seconds for reader in readers for seconds in reader.woken]
    if len(took) < wakes:
        raise RuntimeError(f"{len(took)} of {wakes} wakes came")
    return took


@contextmanager
def _storm(target: Target, clients: int, rates: list[dict[str, float]]) -> Iterator[None]:
    """Clients log in as long as the block lasts; then *rates* has how many answers of which status came a second."""
    command = [sys.executable, "-m", "bench.logins", target.url, str(clients), *ADMIN]
    with subprocess.Popen(command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        yield
        said, _ = process.communicate()
    rates.append(json.loads(said))
