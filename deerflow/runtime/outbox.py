"""What is told of a run's end is written in the very transaction that ends it; the clock delivers it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deerflow.domain.presented import iso, present_run
from deerflow.domain.runs import Run
from deerflow.domain.words import RunStatus
from deerflow.hooks.policy import receiver_of
from deerflow.storage import runs, webhooks
from deerflow.storage.database import Tx


def note_end(tx: Tx, run: Run, *, status: RunStatus, error: dict[str, Any] | None, values: Any) -> None:
    """Put the webhook of a run into the outbox, if it has one; called by everything that ends a run.

    In the transaction that ends it: after its row was changed (or deleted, by a rollback), before the thread of a
    stateless run goes. *values*: those of the thread's last checkpoint, None when nobody has read them.
    """
    url = run.kwargs.get("webhook")
    if not url:
        return
    ended_at = datetime.now(UTC)
    ended = runs.peek(tx, run.run_id) or replace(run, updated_at=ended_at, ended_at=ended_at)
    payload = {
        **present_run(ended),
        "status": status.value,
        "run_started_at": iso(ended.started_at) if ended.started_at else None,
        "run_ended_at": iso(ended.ended_at or ended_at),
        "values": values,
        "error": error,
    }
    webhooks.put(tx, run, url=url, receiver=receiver_of(url), payload=payload)
