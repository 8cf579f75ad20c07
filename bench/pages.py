"""Measures of the console: its lists among very many threads and runs, the workspace's weight, and how soon a first
token, a stop and a run of somebody else's are seen.

The lists on the server's database and on Postgres. What the browser does needs Chromium; without it that is left out.
"""

import gzip
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from selenium.webdriver import Chrome

from bench.http import Connection
from bench.options import own_postgres
from bench.runs import Client, Figures, ms
from bench.scale import NEW_ID, analyze, insert, many_threads, opened
from bench.target import Target, own_server
from deerflow.events.connections import connect
from deerflow.events.log import decode, log_key
from deerflow.storage import models
from deerflow.web import workspace
from deerflow.web.places import STATIC
from tests.chromium import DRIVER, PROGRAM, chromium

LISTS = ("threads", "runs", "approvals", "agents")
_ASKS = '{"asked": [{"id": "asked", "value": {"question": "May I?"}}]}'
_PAINTED = """
window.painted = null;
new MutationObserver((_, watching) => {
  const said = [...document.querySelectorAll("[data-type=ai]")].some((each) => each.innerText.includes("word"));
  if (!said) return;
  watching.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.painted = performance.timeOrigin + performance.now(); }));
}).observe(document.getElementById("workspace"), { subtree: true, childList: true, characterData: true });
"""
"""A timer that a frame has set comes when that frame has been painted."""
_SECONDS = 30.0


def pages(target: Target, *, many: int, times: int, seen: int, postgres: bool) -> Figures:
    """All of these; the lists with *many* threads of one caller, each of which has had a run."""
    if target.environment().get("DEERFLOW_AUTH") != "none":
        sys.stderr.write("pages: left out, the server is not in mode none\n")
        return {}
    found = _weight() | _seen(target, seen) | _lists(target, many, times)
    if not postgres or not target.settings().database.startswith("sqlite"):
        return found
    with TemporaryDirectory(prefix="dfb-") as folder, own_postgres(Path(folder)) as url:
        if url:
            with own_server(database_url=url) as other:
                found |= _lists(other, many, times)
    return found


def _lists(target: Target, many: int, times: int) -> Figures:
    kind = "SQLite" if target.settings().database.startswith("sqlite") else "Postgres"
    http = Connection(target.url, target.headers)
    took: dict[str, list[float]] = {name: [] for name in LISTS}
    with many_threads(target, many), _a_run_each(target):
        for _ in range(times):
            for name, seconds in took.items():
                started = time.perf_counter()
                page = b"".join(http.stream("GET", f"/console/{name}"))
                seconds.append(time.perf_counter() - started)
                if b"</html>" not in page:
                    raise RuntimeError(f"/console/{name} is no page")
    return {f"{kind}: page of {name}, p50": ms(median(seconds)) for name, seconds in took.items()}


@contextmanager
def _a_run_each(target: Target) -> Iterator[None]:
    """Give each of these threads a copy of a run; of a hundred threads one asks something. They go with the threads."""
    client = Client(target)
    thread = client.thread()
    client.wait(thread, "noop")
    thread_id = UUID(thread.rpartition("/")[2])
    with opened(target) as database:
        made = {column.name: f"r.{column.name}" for column in models.runs.c}
        made |= {"run_id": NEW_ID[database.engine.dialect.name], "thread_id": "t.thread_id", "owner": "t.owner"}
        made |= {"created_at": "t.created_at", "status": "CASE t.status WHEN 'idle' THEN 'success' ELSE t.status END"}
        of = thread_id.hex if database.is_sqlite else thread_id
        fresh = "NOT EXISTS (SELECT 1 FROM runs AS had WHERE had.thread_id = t.thread_id)"
        insert(database, "runs", made, f"threads AS t, runs AS r WHERE r.thread_id = :of AND {fresh}", {"of": of})
        with database.begin() as tx:
            asking = models.threads.c.status == "interrupted"
            tx.execute(sa.update(models.threads).where(asking).values(interrupts=sa.text(f"'{_ASKS}'")))
        analyze(database)
        yield


def _weight() -> Figures:
    """All script of the workspace, as it comes over the line when it is compressed."""
    files = [STATIC / name for name in workspace.modules()]
    if not all(file.is_file() for file in files):
        sys.stderr.write("weight: left out, the workspace is not built (make console-vendor)\n")
        return {}
    return {"workspace script, kB gzip": sum(len(gzip.compress(file.read_bytes(), 9)) for file in files) / 1000}


def _seen(target: Target, times: int) -> Figures:
    """What somebody at a browser waits for, in milliseconds; the clock is the machine's."""
    if PROGRAM is None or DRIVER is None or not (STATIC / "vendor").is_dir():
        sys.stderr.write("first token, stop, live list: left out, for want of Chromium or of the workspace's script\n")
        return {}
    with chromium() as driver:
        late = [_late(target, driver) for _ in range(times)]
        stops = [_stop(target, driver) for _ in range(times)]
        elsewhere = [_elsewhere(target, driver) for _ in range(times)]
    return {
        "first token painted p50, ms after its log": median(late),
        "stop pressed to rest p50, ms": ms(median(stops)),
        "a run elsewhere is listed after, at most, ms": ms(max(elsewhere)),
    }


def _first_token(target: Target, driver: Chrome, agent: str) -> float:
    """When the first token of a new thread was painted, in milliseconds of the epoch."""
    driver.get(f"{target.url}/console/threads/new?agent={agent}")
    field = _until(lambda: driver.execute_script("return document.querySelector('.ws[data-ready=yes] #ws-text')"))
    driver.execute_script(_PAINTED)
    field.send_keys("hello\n")
    return float(_until(lambda: driver.execute_script("return window.painted")))


def _late(target: Target, driver: Chrome) -> float:
    """From the log's time of an answer's first token to its paint, in milliseconds."""
    painted = _first_token(target, driver, "chat")
    thread = driver.current_url.partition("?")[0].rpartition("/")[2]
    (run,) = Connection(target.url, target.headers).call("GET", f"/threads/{thread}/runs")
    client = connect(target.settings().redis)
    stored = cast("list[bytes]", client.lrange(log_key(UUID(run["run_id"])), 0, -1))
    client.close()
    said = next(entry for entry in map(decode, range(len(stored)), stored) if b"word" in entry.frame)
    return painted - said.at_ms


def _stop(target: Target, driver: Chrome) -> float:
    """From Stop to a workspace at rest, in seconds."""
    _first_token(target, driver, "rambling")
    started = time.perf_counter()
    driver.execute_script("document.getElementById('ws-stop').click()")
    _until(lambda: driver.execute_script("return document.querySelector('.ws[data-phase=resting]')"))
    return time.perf_counter() - started


def _elsewhere(target: Target, driver: Chrome) -> float:
    """From the end of a request that made a run to its thread in an open list, in seconds."""
    driver.get(f"{target.url}/console/threads")
    client = Client(target)
    thread = client.thread()
    client.wait(thread, "noop")
    started = time.perf_counter()
    row = f"return document.querySelector('a[href$=\"{thread.rpartition('/')[2]}\"]')"
    _until(lambda: driver.execute_script(row))
    return time.perf_counter() - started


def _until(look: Any) -> Any:
    deadline = time.monotonic() + _SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise RuntimeError("the workspace does not come")
        time.sleep(0.005)
    return found
