"""``python -m bench``: measure a server and print a table.

Without ``--url`` it starts a server of its own. With ``--against`` every measure is taken of both servers in turns
(A B A B), so that what else the machine does meets both alike; shown are the medians, the spread of each, and A over B.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import identity, options, pages, processes, runs, scale, streams
from bench.target import Target, own_server

Measure = Callable[[Target], dict[str, float]]
Samples = dict[str, list[float]]


class Goal(NamedTuple):
    """What a figure shall reach, and in brackets what it aims at; ``least``: more is better."""

    reach: float
    aim: float | None = None
    least: bool = False


AT_SCALE = {
    "page of 10 by owner, p50": Goal(5),
    "page of 100 by owner, p50": Goal(5),
    "page of 10 by status, p50": Goal(5),
    "page of 10 by ids, p50": Goal(5),
    "metadata of 10 %, p50": Goal(20),
    "metadata of 10 threads, p50": Goal(20),
    "metadata of none, p50": Goal(20),
    "count of 10 %, p50": Goal(20),
    "state at 200 checkpoints, p50": Goal(6),
    "history(10) at 200 checkpoints, p50": Goal(10),
    "state at 200 checkpoints, p50 beside full slots": Goal(6),
    "history(10) at 200 checkpoints, p50 beside full slots": Goal(10),
    "a run at 10000 in the database over few": Goal(1.2),
    "a run at 10000 on its thread over 100": Goal(1.2),
}
"""Among 100,000 threads."""

GOALS = {
    "first event p50": Goal(10, 6),
    "wait p50, 1 client": Goal(15, 8),
    "runs/s, 16 clients": Goal(60, 200, least=True),
    "tokens, served over alone": Goal(0.6, 0.9, least=True),
    "fan-out to 50, events/s": Goal(30_000, 60_000, least=True),
    "2000 idle streams held": Goal(2000, least=True),
    "KiB a stream of 2000": Goal(30, 22),
    "wake p50 among 2000": Goal(5, 2),
    "200 runs of 5 s, wall over ideal": Goal(1.3, 1.1),
    "cancel p50": Goal(20, 6),
    "cancel p95": Goal(50),
    "cancel p95 beside 20 runs": Goal(50),
    "first event, 1000 delayed over none": Goal(1.05),
    "first event, 1000 delayed on one thread over none": Goal(1.05),
    "a webhook adds to a run, ms": Goal(2),
    "SQLite: 5 steps, ours over official": Goal(1.05),
    "SQLite: rollback over its run's writes": Goal(3),
    "Postgres: 5 steps, ours over official": Goal(1.05),
    "Postgres: rollback over its run's writes": Goal(3),
    "a key adds to a get, ms": Goal(1),
    "a session adds to a get, ms": Goal(1.5),
    "wake p99 beside 20 clients logging in": Goal(20),
    **{f"{kind}: {name}": goal for kind in ("SQLite", "Postgres") for name, goal in AT_SCALE.items()},
    **{f"SQLite: page of {name}, p50": Goal(50) for name in pages.LISTS},
    "workspace script, kB gzip": Goal(260),
    "first token painted p50, ms after its log": Goal(60),
    "stop pressed to rest p50, ms": Goal(2_000),
    "a run elsewhere is listed after, at most, ms": Goal(6_000),
    "memory web before all that, MB": Goal(110),
    "web start over its imports": Goal(1.5),
}
"""Of a server on SQLite and two processors, the load generator included."""


def measures(*, quick: bool) -> dict[str, Measure]:
    """All measures by name; *quick*: the same with the least that yields every figure."""
    few = 3
    return {
        "fresh": partial(processes.memory, when="before all that"),
        "first": partial(runs.first_event, times=few if quick else 200),
        "wait": partial(runs.waiting, runs=4 if quick else 320, clients=2 if quick else 16),
        "create": partial(runs.create, times=few if quick else 100),
        "cancel": partial(runs.cancel, times=few if quick else 100, others=2 if quick else 20),
        "rollback": partial(options.rollback, times=few if quick else 30),
        "delayed": partial(
            options.delayed, pending=10 if quick else 1_000, times=few if quick else 60, rounds=1 if quick else 3
        ),
        "webhook": partial(options.webhook, times=few if quick else 100),
        "store": partial(options.store, runs=few if quick else 100),
        "get": partial(runs.get_beside_spinning, times=few if quick else 200),
        "callers": partial(identity.callers, times=few if quick else 500),
        "logins": partial(
            identity.logins,
            clients=2 if quick else 20,
            streams=5 if quick else 200,
            wakes=3 if quick else 500,
            rounds=1 if quick else 3,
        ),
        "tokens": partial(runs.tokens, count=50 if quick else 5_000, times=1 if quick else 3),
        "fanout": partial(streams.fan_out, readers=2 if quick else 50, tokens=50 if quick else 5_000),
        "idle": partial(
            streams.idle, streams=5 if quick else 500, wakes=3 if quick else 500, seconds=0.1 if quick else 10
        ),
        "crowd": partial(
            streams.idle, streams=10 if quick else 2_000, wakes=3 if quick else 1_000, seconds=0.1 if quick else 10
        ),
        "sleepers": partial(runs.sleepers, runs=4 if quick else 200, seconds=0.1 if quick else 5.0),
        "scale": partial(
            scale.at_scale,
            threads=200 if quick else 100_000,
            runs=100 if quick else 10_000,
            checkpoints=10 if quick else 200,
            times=few if quick else 100,
            slots=few if quick else None,
        ),
        "pages": partial(
            pages.pages,
            many=200 if quick else 10_000,
            times=few if quick else 100,
            seen=1 if quick else 20,
            postgres=not quick,
        ),
        "memory": partial(processes.memory, when="after all that"),
        "start": partial(processes.web_start, times=1 if quick else 5),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON when asked to."""
    asked = _parse(arguments)
    chosen = {name: act for name, act in measures(quick=asked.quick).items() if not asked.only or name in asked.only}
    with ExitStack() as stack:
        targets = [Target("A", asked.url) if asked.url else stack.enter_context(own_server())]
        if asked.against:
            targets.append(Target("B", asked.against))
        samples = _measure(chosen.values(), targets, asked.rounds or len(targets))
    _print(samples)
    if asked.json:
        asked.json.write_text(json.dumps({"machine": _machine(), "figures": _summary(samples)}, indent=1) + "\n")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--url", help="the server to measure; default: start one")
    parser.add_argument("--against", help="a second server, measured in turns with the first")
    parser.add_argument(
        "--rounds", type=int, help="how often each measure is taken; default: once, with --against twice"
    )
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--only", nargs="+", choices=list(measures(quick=True)), help="only these measures")
    parser.add_argument(
        "--quick", action="store_true", help="a few of everything: shows that it works, measures nothing"
    )
    return parser.parse_args(arguments)


def _measure(chosen: Iterable[Measure], targets: list[Target], rounds: int) -> list[Samples]:
    samples: list[Samples] = [{} for _ in targets]
    for measure in chosen:
        for _ in range(rounds):
            for target, kept in zip(targets, samples, strict=True):
                for name, value in measure(target).items():
                    kept.setdefault(name, []).append(value)
                    sys.stderr.write(f"{target.name} {name}: {_shown(value)}\n")
    return samples


def _summary(samples: list[Samples]) -> dict[str, dict[str, object]]:
    """Each figure: the median and all values of each server, and the first's median over the second's."""
    found: dict[str, dict[str, object]] = {}
    for name, values in samples[0].items():
        row: dict[str, object] = {"median": median(values), "values": values}
        if goal := GOALS.get(name):
            row |= goal._asdict()
        if len(samples) > 1:
            other = samples[1][name]
            row |= {"against": median(other), "against_values": other, "ratio": median(values) / (median(other) or 1)}
        found[name] = row
    return found


def _print(samples: list[Samples]) -> None:
    heads = ["figure", "A"] if len(samples) > 1 else ["figure", "measured"]
    rows = [[*heads, *(["B", "A/B"] if len(samples) > 1 else []), "reach [aim]"]]
    for name, values in samples[0].items():
        row = [name, _spread(values)]
        if len(samples) > 1:
            other = samples[1][name]
            row += [_spread(other), f"{median(values) / (median(other) or 1):.2f}"]
        rows.append([*row, _goal(name, median(values))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.write(f"{_machine()}\n")


def _goal(name: str, value: float) -> str:
    goal = GOALS.get(name)
    if goal is None:
        return ""
    reached = value >= goal.reach if goal.least else value <= goal.reach
    aim = "" if goal.aim is None else f" [{goal.aim:g}]"
    return f"{'>=' if goal.least else '<='} {goal.reach:g}{aim}" + ("" if reached else "  MISSED")


def _spread(values: list[float]) -> str:
    shown = _shown(median(values))
    return shown if len(values) == 1 else f"{shown} ({_shown(min(values))} to {_shown(max(values))})"


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"  # noqa: PLR2004 - four digits say enough


def _machine() -> str:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{os.cpu_count()} processors, load {load}, Python {platform.python_version()}, {platform.system()}"


if __name__ == "__main__":
    main()
