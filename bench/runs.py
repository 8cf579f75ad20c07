"""Measures of single runs: how long a client waits, how many go through, what they cost."""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import Any

from bench.http import Connection
from bench.target import HERE, Target

Figures = dict[str, float]


class Client:
    """One client of the server, with a connection of its own."""

    def __init__(self, target: Target) -> None:
        self.http = Connection(target.url, target.headers)

    def thread(self) -> str:
        """A new thread's path."""
        return f"/threads/{self.http.call('POST', '/threads', {})['thread_id']}"

    def start(self, thread: str, graph: str, **given: Any) -> str:
        """A new run's path."""
        return f"{thread}/runs/{self.http.call('POST', f'{thread}/runs', body(graph, **given))['run_id']}"

    def until_under_way(self, run: str) -> None:
        """Wait until the graph of a run has said something."""
        self.until_said(run, 2)  # the metadata, and the input's values

    def until_said(self, run: str, events: int) -> None:
        """Wait until a run has said that many events."""
        at = 0
        while at < events:
            at = int(self.http.call("GET", f"{run}/events?after={at}&wait=10")["next"])

    def until_over(self, run: str) -> None:
        """Wait until a run has ended."""
        self.http.call("GET", f"{run}/join")

    def cancel(self, run: str) -> None:
        """Cancel a run and wait until it has ended."""
        self.http.call("POST", f"{run}/cancel?wait=true")

    def wait(self, thread: str, graph: str, **given: Any) -> float:
        """Seconds that POST /runs/wait takes."""
        started = time.perf_counter()
        self.http.call("POST", f"{thread}/runs/wait", body(graph, **given))
        return time.perf_counter() - started


def body(graph: str, **given: Any) -> dict[str, Any]:
    """What creates a run."""
    return {"assistant_id": graph, "input": {"n": 0, **given}, "stream_mode": "values"}


def first_event(target: Target, *, times: int) -> Figures:
    """From sending POST /runs/stream to the first event, and to the first one that the graph says."""
    client = Client(target)
    seconds = [first_events(client, client.thread()) for _ in range(times)]
    first, said = zip(*seconds, strict=True)
    return {
        "first event p50": ms(median(first)),
        "first event p95": ms(p95(first)),
        "first values event p50": ms(median(said)),
    }


def first_events(client: Client, thread: str) -> tuple[float, float]:
    """Seconds from sending POST /runs/stream to the first event, and to the first one of the graph."""
    seen, at = b"", [0.0, 0.0]
    started = time.perf_counter()
    for piece in client.http.stream("POST", f"{thread}/runs/stream", body("noop")):
        seen += piece
        for i, mark in enumerate((b"event: metadata", b"event: values")):
            if not at[i] and mark in seen:
                at[i] = time.perf_counter() - started
    return at[0], at[1]


def waiting(target: Target, *, runs: int, clients: int) -> Figures:
    """POST /runs/wait by one client and by many: how long, how many a second, what a run costs the server."""
    found: Figures = {}
    for count, who in ((1, "1 client"), (clients, f"{clients} clients")):
        rate, seconds, cpu = _waits(target, runs, count)
        found |= {f"wait p50, {who}": ms(median(seconds)), f"runs/s, {who}": rate, f"CPU a run, {who}": ms(cpu)}
    steps = Client(target)
    found["wait p50, 4 nodes"] = ms(median(steps.wait(steps.thread(), "steps") for _ in range(max(runs // 4, 1))))
    return found


def _waits(target: Target, runs: int, count: int) -> tuple[float, list[float], float]:
    """Runs a second, the seconds that each took, processor seconds a run."""
    clients = [Client(target) for _ in range(count)]
    threads = [[client.thread() for _ in range(max(runs // count, 1))] for client in clients]

    def all_of(client: Client, own: list[str]) -> list[float]:
        return [client.wait(thread, "noop") for thread in own]

    with ThreadPoolExecutor(count) as pool:
        cpu, started = target.cpu_seconds(), time.perf_counter()
        seconds = [one for some in pool.map(all_of, clients, threads) for one in some]
        wall = time.perf_counter() - started
    return len(seconds) / wall, seconds, (target.cpu_seconds() - cpu) / len(seconds)


def create(target: Target, *, times: int) -> Figures:
    """POST /runs, with nothing else under way."""
    client, seconds = Client(target), []
    for _ in range(times):
        thread = client.thread()
        started = time.perf_counter()
        run = client.start(thread, "noop")
        seconds.append(time.perf_counter() - started)
        client.until_over(run)
    return {"create p50": ms(median(seconds))}


def cancel(target: Target, *, times: int, others: int) -> Figures:
    """From sending a cancel of a sleeping run to its end (``wait=true``), alone and beside others that take steps."""
    client = Client(target)
    alone = _cancels(client, times)
    asked = {**body("pace", seconds=1.0), "config": {"recursion_limit": 10_000}}
    threads = [client.thread() for _ in range(others)]
    going = [f"{thread}/runs/{client.http.call('POST', f'{thread}/runs', asked)['run_id']}" for thread in threads]
    for run in going:
        client.until_under_way(run)
    beside = _cancels(client, times)
    for run in going:
        client.cancel(run)
    return {
        "cancel p50": ms(median(alone)),
        "cancel p95": ms(p95(alone)),
        f"cancel p50 beside {others} runs": ms(median(beside)),
        f"cancel p95 beside {others} runs": ms(p95(beside)),
    }


def _cancels(client: Client, times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        run = client.start(client.thread(), "sleep", seconds=60)
        client.until_under_way(run)
        started = time.perf_counter()
        client.cancel(run)
        seconds.append(time.perf_counter() - started)
    return seconds


def get_beside_spinning(target: Target, *, times: int) -> Figures:
    """GET of a run, alone and while two runs use all the processor that a worker can."""
    client = Client(target)
    run = client.start(client.thread(), "noop")
    client.until_over(run)
    alone = _gets(client, run, times)
    spinning = [client.start(client.thread(), "spin", seconds=times * 0.02 + 0.5) for _ in range(2)]
    client.until_under_way(spinning[-1])
    beside = _gets(client, run, times)
    for one in spinning:
        client.until_over(one)
    return {"GET run p50": ms(alone), "GET run p50 beside 2 CPU-bound runs": ms(beside)}


def _gets(client: Client, run: str, times: int) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        client.http.call("GET", run)
        seconds.append(time.perf_counter() - started)
        time.sleep(0.005)
    return median(seconds)


def sleepers(target: Target, *, runs: int, seconds: float) -> Figures:
    """Many runs that sleep, started at once: wall time over the ideal one, given the workers' slots."""
    client = Client(target)
    threads = [client.thread() for _ in range(runs)]
    turns = -(-runs // target.slots())
    started = time.perf_counter()
    made = [client.start(thread, "sleep", seconds=seconds) for thread in threads]
    for run in made:
        client.until_over(run)
    return {f"{runs} runs of {seconds:g} s, wall over ideal": (time.perf_counter() - started) / (turns * seconds)}


def tokens(target: Target, *, count: int, times: int) -> Figures:
    """Token events a second of one run, against LangGraph alone in a process of its own; in turns."""
    client, ours, alone = Client(target), [], []
    for _ in range(times):
        ours.append(_token_rate(client, count))
        command = [sys.executable, "-m", "bench.inprocess", str(count)]
        said = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)  # noqa: S603
        alone.append(float(said.stdout))
    served, in_process = median(ours), median(alone)
    return {
        "token events/s": served,
        "token events/s, LangGraph alone": in_process,
        "tokens, served over alone": served / in_process,
    }


def _token_rate(client: Client, count: int) -> float:
    """Between the first and the last token that the client reads; like ``inprocess`` after a short run to warm up.

    So few tokens that all come in one piece are counted from the request on.
    """
    for many in (100, count):
        seen, first, last, asked_at = 0, 0.0, 0.0, time.perf_counter()
        asked = {**body("tokens", messages=[], tokens=many), "stream_mode": ["messages-tuple", "values"]}
        for piece in client.http.stream("POST", f"{client.thread()}/runs/stream", asked):
            here = piece.count(b"event: messages\r\n")
            if here:
                last = time.perf_counter()
                first = first or last
                seen += here
    if seen < count:
        raise RuntimeError(f"{seen} of {count} token events came")
    return (count - 1) / (last - (first if first < last else asked_at))


def ms(seconds: float) -> float:
    """Milliseconds."""
    return seconds * 1000


def p95(seconds: Sequence[float]) -> float:
    """What nineteen of twenty stay below."""
    return quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
