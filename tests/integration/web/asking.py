"""Runs that have ended with questions open, and where these are answered."""

from typing import Any

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.storage import runs
from tests.factories import claim_run, finish_run, make_run

ONE, TWO = "1" * 32, "2" * 32
REQUEST = {
    "action_requests": [{"name": "write_file", "args": {"path": "a.md"}, "description": "Write it"}],
    "review_configs": [{"action_name": "write_file", "allowed_decisions": ["approve", "edit", "reject"]}],
}


def asking(backend: Backend, caller: Principal, *values: Any, **of_run: Any) -> Run:
    """A run that has ended with these questions open."""
    run = claim_run(backend, make_run(backend, caller, **of_run))
    assert run is not None
    asked = {f"task-{place}": [{"id": str(place + 1) * 32, "value": each}] for place, each in enumerate(values)}
    assert finish_run(backend, run, head=ThreadHead({}, ("ask",), asked))
    return run


def all_runs(backend: Backend, run: Run) -> list[Run]:
    """The runs of its thread, newest first."""
    with backend.db.read() as tx:
        owner = Principal(run.owner, frozenset())
        return runs.page(tx, owner, run.thread_id, status=None, limit=9, offset=0)


def place(run: Run) -> str:
    """The page of its questions."""
    return f"/console/approvals/{run.thread_id}"
