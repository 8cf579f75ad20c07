"""Names that travel between processes exist on both sides, queues and tasks; and who loads what is behind them."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

import celeryconfig
import tasks
from deerflow.dispatch import bell
from deerflow.settings import ROOT
from tests.conftest import GRAPHS

RUNG = {bell.EXECUTE: bell.RUNS, bell.ANSWER: bell.STATE, bell.SWEEP: bell.CLOCK}
"""Task -> queue, as the bell sends them."""
BEATEN = {entry["task"] for entry in celeryconfig.beat_schedule.values()}


def test_queues_are_in_the_procfile() -> None:
    """Every queue that is sent to has one process that reads it, and no process reads a queue of nobody."""
    routed = [route["queue"] for route in celeryconfig.task_routes.values()]
    served = re.findall(r"-Q (\S+)", (ROOT / "Procfile").read_text())
    assert sorted(served) == sorted(routed) == sorted(RUNG.values())


def test_tasks_exist() -> None:
    """Every task that is rung or on the beat exists, and every task is rung or on the beat."""
    tasks.app.loader.import_default_modules()
    for module in tasks.WITH_GRAPHS.values():
        import_module(module)
    ours = {name for name in tasks.app.tasks if not name.startswith("celery.")}
    assert ours == set(RUNG) | BEATEN


def test_routes_agree_with_the_bell() -> None:
    """What beat sends goes by the routes, what we send by the bell: both to the same place."""
    for task in RUNG.keys() | BEATEN:
        (queue,) = {route["queue"] for glob, route in celeryconfig.task_routes.items() if fnmatch(task, glob)}
        assert queue == RUNG.get(task, bell.CLOCK), task


def test_beat_entries_expire() -> None:
    """After an outage the clock does each act once, not once for every missed turn."""
    for name, entry in celeryconfig.beat_schedule.items():
        assert entry["options"]["expires"] == entry["schedule"], name


CLOCK = """
import asyncio, sys, tasks
from deerflow.backend import open_worker
from deerflow.graphs.savers import set_up
from deerflow.settings import Settings

async def clock():
    settings = Settings.from_env()
    await set_up(settings.checkpoints)
    async with open_worker(settings, user_code=False):
        print("LOADED", *sorted({"langgraph.pregel", "langgraph.graph", "deerflow.graphs.handlers"} & set(sys.modules)))

tasks.app.loader.import_default_modules()
asyncio.run(clock())
"""


def test_the_clock_loads_nothing_that_runs_graphs(tmp_path: Path) -> None:
    """It takes half a second of a processor, and the clock starts with everything else."""
    ours = {"DATABASE_URL": "", "REDIS_URL": "", "DEERFLOW_DATA": str(tmp_path), "DEERFLOW_CONFIG": str(GRAPHS)}
    told = subprocess.run(
        [sys.executable, "-c", CLOCK],
        cwd=ROOT,
        env=os.environ | ours,
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    assert told.stdout.strip() == "LOADED"
