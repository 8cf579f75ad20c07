"""Clock and worker are killed while crons are due: each has exactly one run."""

from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from deerflow.storage import models
from deerflow.storage.database import Database
from deerflow.storage.types import now
from tests.conftest import wait_for
from tests.live import Live
from tests.traces import lines

MANY = 20
NEW_YEAR = "0 0 1 1 *"


def make_due(live: Live, cron_ids: list[str]) -> None:
    """As the first of January would."""
    url = live.database_url or f"sqlite:///{live.folder / 'data' / 'deerflow.db'}"
    with closing(Database(url)) as database, database.begin() as tx:
        which = models.crons.c.cron_id.in_([UUID(each) for each in cron_ids])
        tx.execute(sa.update(models.crons).where(which).values(next_run_at=now()))


def test_each_due_cron_has_one_run_whoever_is_killed(live: Live, trace: Path) -> None:
    """scenario 9: the clock in the middle of twenty, which are due at once; then the worker in the middle of a run."""
    client, mine = live.client(), {"of": str(trace)}
    wanted: dict[str, Any] = {
        "input": {"trace": str(trace), "pause": 0.3},
        "metadata": mine,
        "on_run_completed": "keep",
    }
    cron_ids = [client.crons.create("steps", schedule=NEW_YEAR, **wanted)["cron_id"] for _ in range(MANY)]
    make_due(live, cron_ids)
    wait_for(lambda: client.threads.count(metadata=mine), what="the first run")
    live.kill("clock")
    wait_for(lambda: lines(trace), what="the first step")
    live.kill("worker")
    wait_for(lambda: client.threads.count(metadata=mine) == MANY, what="a run of each")
    wait_for(lambda: client.threads.count(metadata=mine, status="idle") == MANY, what="their ends")
    threads = client.threads.search(metadata=mine, limit=100)
    assert sorted(thread["metadata"]["cron_id"] for thread in threads) == sorted(cron_ids)
    ended = [run["status"] for thread in threads for run in client.runs.list(thread["thread_id"])]
    assert ended == ["success"] * MANY
    assert {tuple(thread["values"]["done"]) for thread in threads} == {("one", "two", "three", "four")}
    crons = client.crons.search(metadata=mine, limit=100)
    assert all(cron["next_run_date"][4:] == "-01-01T00:00:00.000000+00:00" for cron in crons), "nothing is due any more"
