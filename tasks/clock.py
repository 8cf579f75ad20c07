"""The clock's acts, on the beat schedule of celeryconfig.py."""

import os
import signal
import threading
import time
from typing import Any

from celery import signals

from deerflow.runtime.reap import reap as reap_runs
from deerflow.runtime.reap import ring_due
from deerflow.runtime.sweep import sweep as sweep_threads
from deerflow.runtime.sweep import sweep_items
from deerflow.runtime.tick import tick as fire_crons
from tasks import app


@app.task(bind=True, name="tasks.clock.reap")
async def reap(self: Any) -> None:
    """Take runs from dead workers, ring the forgotten."""
    backend = self.resources.backend
    await backend.sql(reap_runs, backend)


@app.task(bind=True, name="tasks.clock.tick")
async def tick(self: Any) -> None:
    """Ring the runs that have become due, and create those of crons."""
    backend = self.resources.backend
    await backend.sql(ring_due, backend)
    await backend.sql(fire_crons, backend)


@app.task(bind=True, name="tasks.clock.notify")
async def notify(self: Any) -> None:
    """Begin to deliver the webhooks that are due."""
    await self.resources.deliveries.notify()


@app.task(bind=True, name="tasks.clock.sweep")
async def sweep(self: Any) -> None:
    """Remove what has had its time: checkpoints of deleted threads, webhooks, keys, sessions, store items, audit."""
    await sweep_threads(self.resources.backend)
    await sweep_items(self.resources.backend)


@signals.beat_embedded_init.connect
def _end_with_parent(**_: Any) -> None:
    """Tie the forked scheduler to its worker: left alone it would go on ringing for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
