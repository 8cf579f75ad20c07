"""Schedule runs: add a cron, or change one. That its runs are possible is looked at now, as far as that can be."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.assistants import Assistant, system_assistant_id
from deerflow.domain.crons import Cron
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.principal import Principal
from deerflow.domain.runs import RunSpec
from deerflow.errors import Conflict, Invalid, NotFound
from deerflow.runtime.submit import require_possible
from deerflow.storage import assistants, crons, threads
from deerflow.storage.database import Tx


def add_cron(tx: Tx, backend: Backend, principal: Principal, spec: RunSpec, values: dict[str, Any]) -> Cron:
    """Add a cron; *values* are its thread_id, schedule, timezone, end_time, enabled, payload and metadata.

    Raises NotFound (thread or assistant), Conflict (a thread that is seen, but somebody else's: a cron acts as its
    creator), Invalid (schedule, zone, or what no run may be).
    """
    thread_id: UUID | None = values["thread_id"]
    if thread_id is not None and threads.get(tx, principal, thread_id).owner != principal.user_id:
        raise Conflict("This thread is somebody else's; a cron runs on threads of its creator only")
    assistant = _assistant(tx, backend, principal, str(spec.assistant))
    require_possible(tx, backend, spec, assistant)
    row = {
        "cron_id": new_id(),
        "assistant_id": assistant.assistant_id,
        "spec": replace(spec, assistant=str(assistant.assistant_id)),
        "on_run_completed": spec.on_completion if thread_id is None else None,
    }
    return crons.create(tx, principal, values | row)


def change_cron(tx: Tx, backend: Backend, principal: Principal, cron: Cron, values: dict[str, Any]) -> Cron:
    """Change a cron that this transaction has locked; *values* have its new ``spec`` among them.

    When its times are changed, its next run is the first after now. Raises Invalid as ``add_cron`` does.
    """
    spec: RunSpec = values["spec"]
    creator = replace(principal, user_id=cron.owner, filters={})
    require_possible(tx, backend, spec, assistants.get(tx, creator, cron.assistant_id))
    kept = {"on_run_completed": spec.on_completion} if cron.thread_id is None else {}
    spec = replace(spec, assistant=str(cron.assistant_id))
    return crons.change(tx, principal, cron, values | kept | {"spec": spec})


def _assistant(tx: Tx, backend: Backend, principal: Principal, named: str) -> Assistant:
    """An assistant by id or by its graph's name."""
    graphs = list(backend.project.graphs)
    assistant_id = parse_id(named) or (system_assistant_id(named) if named in graphs else None)
    unknown = NotFound(f"Assistant '{named}' not found")
    if assistant_id is None:
        raise unknown
    try:
        found = assistants.get(tx, principal, assistant_id)
    except NotFound:
        raise unknown from None
    if found.graph_id not in graphs:
        raise Invalid(f"Graph '{found.graph_id}' is not served any more. Graphs: {', '.join(graphs)}")
    return found
