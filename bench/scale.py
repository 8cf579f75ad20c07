"""Measures of what has grown: pages among very many threads, the state of a long one, runs after very many others.

Of the server that is measured, and of another one on Postgres where the tests can run. Rows that nobody has made by
requests are put into the server's database and taken out again.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bench.http import Connection
from bench.options import own_postgres, undisturbed
from bench.runs import Client, Figures, body, ms
from bench.target import Target, own_server
from deerflow.domain.principal import LOCAL
from deerflow.storage import models
from deerflow.storage.database import Database

_STATUSES = "CASE i % 100 WHEN 0 THEN 'error' WHEN 1 THEN 'interrupted' ELSE 'idle' END"
_NUMBERS = {
    "sqlite": "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many) SELECT i FROM n)",
    "postgresql": "(SELECT generate_series(1, CAST(:many AS integer)) AS i)",
}
NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}
_THREAD = {
    "sqlite": {
        "thread_id": NEW_ID["sqlite"],
        "metadata": "json_object('graph_id', 'noop', 'bench', 'yes', 'tenth', 'kind' || (i % 10),"
        " 'ten', 'r' || (i / 10), 'number', i % 10, 'tags', json_array('t' || (i % 10)))",
        "values": "json_object('messages', json_array(hex(randomblob(400)), hex(randomblob(500 * (i % 3 + 1)))))",
        "created_at": "1700000000000000 + i * 1000000",
        "updated_at": "1700000000000000 + (i * 7919 % 200000) * 1000000",
    },
    "postgresql": {
        "thread_id": NEW_ID["postgresql"],
        "metadata": "jsonb_build_object('graph_id', 'noop', 'bench', 'yes', 'tenth', 'kind' || (i % 10),"
        " 'ten', 'r' || (i / 10), 'number', i % 10, 'tags', jsonb_build_array('t' || (i % 10)))",
        "values": "jsonb_build_object('messages', jsonb_build_array(("
        "SELECT string_agg(md5(random()\\:\\:text || g), '')"
        " FROM generate_series(1, 25 + 31 * (i % 3 + 1)) g)))",
        "created_at": "to_timestamp(1700000000 + i)",
        "updated_at": "to_timestamp(1700000000 + i * 7919 % 200000)",
    },
}
"""A tenth has each ``tenth``, ten have each ``ten``; values of 1.8 to 3.8 kB that cannot be compressed."""


def at_scale(target: Target, *, threads: int, runs: int, checkpoints: int, times: int, slots: int | None) -> Figures:
    """All of these measures, on the server's database and on Postgres. *slots*: how many to take; None: all."""
    if target.environment().get("DEERFLOW_AUTH") != "none":
        sys.stderr.write("scale: left out, the server is not in mode none\n")
        return {}
    measure = partial(_all, threads=threads, runs=runs, checkpoints=checkpoints, times=times, slots=slots)
    found = measure(target)
    if not target.settings().database.startswith("sqlite"):
        return found
    with TemporaryDirectory(prefix="dfb-") as folder, own_postgres(Path(folder)) as url:
        if url:
            with own_server(database_url=url) as other:
                found |= measure(other)
    return found


def _all(target: Target, *, threads: int, runs: int, checkpoints: int, times: int, slots: int | None) -> Figures:
    kind = "SQLite" if target.settings().database.startswith("sqlite") else "Postgres"
    found = _states(target, checkpoints, times, slots or target.slots()) | _after_many(target, runs, times)
    with many_threads(target, threads):
        found |= _pages(target, threads, times)
    return {f"{kind}: {name}": value for name, value in found.items()}


def _pages(target: Target, threads: int, times: int) -> Figures:
    """What searches and counts of one owner's threads take a client, in turns."""
    http = Connection(target.url, target.headers)
    ids = [thread["thread_id"] for thread in http.call("POST", "/threads/search", {"limit": 100, "offset": 100})]
    tenth, ten, none = ({"tenth": "kind3"}, {"ten": f"r{threads // 20}"}, {"ten": "no such"})
    asked: dict[str, dict[str, Any]] = {
        "page of 10 by owner": {"limit": 10},
        "page of 100 by owner": {"limit": 100},
        "page of 100 by owner, ids and times only": {"limit": 100, "select": ["thread_id", "updated_at"]},
        "page of 10 by status": {"limit": 10, "status": "error"},
        "page of 10 by ids": {"ids": ids[:10]},
        "page of 100 by ids": {"limit": 100, "ids": ids},
        "metadata of 10 %": {"metadata": tenth},
        "metadata of 10 threads": {"metadata": ten},
        "metadata of none": {"metadata": none},
        "metadata of 10 %, page of 100": {"metadata": tenth, "limit": 100},
        "metadata of 10 % by created_at": {"metadata": tenth, "sort_by": "created_at"},
        "metadata of 10 % and status": {"metadata": tenth, "status": "idle"},
        "a number of 10 %": {"metadata": {"number": 3}},
        "two of 10 % that nobody has": {"metadata": {"tenth": "kind3", "number": 4}},
    }
    counted: dict[str, dict[str, Any]] = {
        "count by owner": {},
        "count of 10 %": {"metadata": tenth},
        "count of none": {"metadata": none},
    }
    slow: dict[str, dict[str, Any]] = {
        "a list that none has": {"metadata": {"tags": ["none"]}},
        "values that none has": {"values": {"none": 1}},
    }
    found = _timed(http, "/threads/search", asked, times) | _timed(http, "/threads/count", counted, times)
    found |= _timed(http, "/threads/search", slow, 2)
    return {f"{name}, p50": value for name, value in found.items()}


def _timed(http: Connection, path: str, asked: dict[str, dict[str, Any]], times: int) -> Figures:
    took: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(times):
        for name, wanted in asked.items():
            took[name].append(_seconds(lambda wanted=wanted: http.call("POST", path, wanted)))  # type: ignore[misc]
    return {name: ms(median(seconds)) for name, seconds in took.items()}


def _states(target: Target, checkpoints: int, times: int, slots: int) -> Figures:
    """State and history of a long thread: alone, and while every slot is taken and a node holds a worker's loop up."""
    client = Client(target)
    thread = client.thread()
    client.http.call(
        "POST", f"{thread}/runs/wait", {**body("pace", seconds=0), "config": {"recursion_limit": checkpoints - 2}}
    )
    alone = _state_and_history(client, thread, times)
    with _busy(client, slots, seconds=max(times * 0.03, 1.0)):
        beside = _state_and_history(client, thread, times)
    return {
        f"state at {checkpoints} checkpoints, p50": alone[0],
        f"history(10) at {checkpoints} checkpoints, p50": alone[1],
        f"state at {checkpoints} checkpoints, p50 beside full slots": beside[0],
        f"history(10) at {checkpoints} checkpoints, p50 beside full slots": beside[1],
    }


def _state_and_history(client: Client, thread: str, times: int) -> tuple[float, float]:
    took: list[tuple[float, float]] = []
    for _ in range(times):
        state = _seconds(lambda: client.http.call("GET", f"{thread}/state"))
        took.append((state, _seconds(lambda: client.http.call("GET", f"{thread}/history?limit=10"))))
    states, histories = zip(*took, strict=True)
    return ms(median(states)), ms(median(histories))


@contextmanager
def _busy(client: Client, slots: int, *, seconds: float) -> Iterator[None]:
    """All slots hold a run, and the last one's node does not let its worker's loop go on."""
    sleeping = [client.start(client.thread(), "sleep", seconds=600) for _ in range(slots - 1)]
    client.until_under_way(sleeping[-1])
    client.start(client.thread(), "block", seconds=seconds)
    time.sleep(0.1)
    yield
    for run in sleeping:
        client.http.call("POST", f"{run}/cancel")
    for run in sleeping:
        with suppress(RuntimeError):
            client.until_over(run)


def _after_many(target: Target, many: int, times: int) -> Figures:
    """A run, accepted to ended, after many others, over one after few: in the database, and on its own thread."""
    client = Client(target)
    few_before, many_before = client.thread(), client.thread()
    for thread in (few_before, many_before):
        client.wait(thread, "noop")
    ratios = []
    for _ in range(3):
        without = _waits(client, times)
        with _many_runs(target, many_before, many):
            ratios.append(_waits(client, times) / without)
    with _many_runs(target, few_before, many // 100), _many_runs(target, many_before, many):
        turns = [(client.wait(few_before, "noop"), client.wait(many_before, "noop")) for _ in range(times)]
    few, after = zip(*turns, strict=True)
    return {
        f"a run at {many} in the database over few": median(ratios),
        f"a run at {many} on its thread over {many // 100}": undisturbed(list(after)) / undisturbed(list(few)),
    }


def _waits(client: Client, times: int) -> float:
    return undisturbed([client.wait(client.thread(), "noop") for _ in range(times)])


@contextmanager
def many_threads(target: Target, many: int) -> Iterator[None]:
    """So many threads of the caller, half before and half after those of two other owners."""
    with opened(target) as database:
        for owner, count in ((LOCAL, many // 2), ("ada", many // 50), (LOCAL, many - many // 2), ("bob", many // 50)):
            _insert_threads(database, owner, count)
        analyze(database)
        yield
        with database.begin() as tx:
            tx.execute(sa.delete(models.threads).where(models.threads.c.metadata["bench"].as_string() == "yes"))


def _insert_threads(database: Database, owner: str, many: int) -> None:
    dialect = database.engine.dialect.name
    made = {"owner": ":owner", "status": _STATUSES, "resting": _STATUSES, "config": "'{}'", "interrupts": "'{}'"}
    made |= {"last_ordinal": "0", "fence": "1", **_THREAD[dialect]}
    made["state_updated_at"] = made["updated_at"]
    insert(database, "threads", made, _NUMBERS[dialect] + " AS n", {"owner": owner, "many": many})


@contextmanager
def _many_runs(target: Target, thread: str, many: int) -> Iterator[None]:
    """So many more runs of a thread that has had one: copies of it, without checkpoints."""
    thread_id = UUID(thread.rsplit("/", 1)[1])
    with opened(target) as database:
        dialect = database.engine.dialect.name
        made = {column.name: f"r.{column.name}" for column in models.runs.c}
        made |= {"run_id": NEW_ID[dialect], "ordinal": "i + 1"}
        copied = f"{_NUMBERS[dialect]} AS n, runs AS r WHERE r.thread_id = :of AND r.ordinal = 1"
        with database.begin() as tx:
            tx.execute(
                sa.update(models.threads).where(models.threads.c.thread_id == thread_id).values(last_ordinal=many + 1)
            )
        insert(database, "runs", made, copied, {"of": thread_id.hex if database.is_sqlite else thread_id, "many": many})
        yield
        with database.begin() as tx:
            theirs = models.runs.c.thread_id == thread_id
            tx.execute(sa.delete(models.runs).where(theirs, models.runs.c.ordinal > 1))
            tx.execute(sa.update(models.threads).where(models.threads.c.thread_id == thread_id).values(last_ordinal=1))


def insert(database: Database, table: str, made: dict[str, str], source: str, facts: dict[str, Any]) -> None:
    """Rows of which *made* says each column, in the database's own words."""
    names = ", ".join(f'"{name}"' for name in made)
    statement = f"INSERT INTO {table} ({names}) SELECT {', '.join(made.values())} FROM {source}"  # noqa: S608
    with database.begin() as tx:
        tx.execute(sa.text(statement), facts)


def analyze(database: Database) -> None:
    """What Postgres does by itself within a minute; SQLite never."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))


@contextmanager
def opened(target: Target) -> Iterator[Database]:
    """The server's database, with a connection of the bench's own."""
    database = Database(target.settings().database, pool=1)
    try:
        yield database
    finally:
        database.close()


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
