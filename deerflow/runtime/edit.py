"""Edit a thread's state. The edit is fenced like a run: one that comes too late, behind a claim, stores nothing."""

from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.errors import BadRequest, Conflict
from deerflow.runtime.ask import about, ask, require_served
from deerflow.storage import runs, threads


def edit_state(
    backend: Backend,
    principal: Principal,
    thread_id: UUID,
    *,
    values: Any,
    as_node: str | None,
    checkpoint: dict[str, Any],
) -> dict[str, Any]:
    """Write *values* as a new checkpoint, as if *as_node* had said them; what names the checkpoint.

    Raises NotFound (also of its graph), BadRequest (no graph yet, no such node), Conflict (a run is in flight, or was
    claimed meanwhile).
    """
    with backend.db.begin() as tx:
        thread, _ = threads.lock(tx, principal, thread_id)
        if inflight := runs.inflight(tx, thread_id):
            raise Conflict(f"Thread {thread_id} has in-flight runs: {[str(run.run_id) for run in inflight]}")
        if thread.graph_id is None:
            raise BadRequest(
                f"Thread '{thread_id}' has no assigned graph ID. Run a graph on it first, or name one in its metadata."
            )
        require_served(backend, thread.graph_id)
        token = threads.raise_fence(tx, thread_id)
    facts = about(principal, thread_id, thread.owner, thread.graph_id)
    answer = ask(backend, "update", **facts, token=token, values=values, as_node=as_node, checkpoint=checkpoint)
    assert isinstance(answer, dict)
    return answer
