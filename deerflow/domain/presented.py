"""A run as JSON: what clients read of it, and what webhooks carry."""

from datetime import datetime
from typing import Any

from deerflow.domain.runs import Run

_KEPT_BACK = frozenset({"user"})
"""What a run has for its graph alone: about its creator, who may have tokens of theirs there."""


def iso(at: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds: ``2026-11-22T07:29:43.010826+00:00``."""
    return at.isoformat(timespec="microseconds")


def present_run(run: Run) -> dict[str, Any]:
    """A run as clients read it. ``created_at`` is the true time; ``run_at`` when it may start."""
    return {
        "run_id": str(run.run_id),
        "thread_id": str(run.thread_id),
        "assistant_id": str(run.assistant_id),
        "created_at": iso(run.created_at),
        "updated_at": iso(run.updated_at),
        "run_at": iso(run.run_at),
        "metadata": run.metadata,
        "status": run.status.value,
        "kwargs": {name: value for name, value in run.kwargs.items() if name not in _KEPT_BACK},
        "multitask_strategy": run.multitask_strategy.value,
        "attempt": run.attempt,
        "error": run.error,
        "langsmith_session_name": None,
    }
