"""Runs, as Celery sees them."""

from typing import Any
from uuid import UUID

from deerflow.runtime.execute import execute
from tasks import app


@app.task(bind=True, name="tasks.runs.execute_run")
async def execute_run(self: Any, run_id: str) -> None:
    """Execute one ring of a run."""
    worker = self.resources
    await execute(worker.backend, worker.leases, UUID(run_id), task_id=self.request.id)
