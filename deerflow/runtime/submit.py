"""Admit a run: assistant, thread, multitask strategy, row; then ring."""

import logging
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.assistants import Assistant, system_assistant_id
from deerflow.domain.context import check, mirrored
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Admission, Run, RunSpec, admit
from deerflow.domain.threads import Thread
from deerflow.domain.words import CancelAction, Durability, IfNotExists, ThreadStatus
from deerflow.errors import Conflict, Invalid, NotFound
from deerflow.runtime.cancel import carry_out, mark
from deerflow.runtime.ring import ring
from deerflow.storage import assistants, runs, threads
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

_NOT_FOUND = "Thread or assistant not found."
_BUSY = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."


def submit(backend: Backend, principal: Principal, spec: RunSpec, *, thread_id: UUID) -> Run:
    """Add a run to a thread; it is in the database when this returns, whatever becomes of the bell.

    Raises NotFound (thread or assistant), Invalid (no such graph, a webhook that may not go there), Conflict (busy,
    and the strategy is reject).
    """
    with backend.db.begin() as tx:
        run, admission, displaced = _admit(tx, backend, principal, spec, thread_id)
    log.info("Run accepted", extra={"run_id": run.run_id, "thread_id": thread_id, "admission": admission.name})
    for stopping in displaced:
        carry_out(backend, stopping)
    if run.rung_at is not None:
        ring(backend, run)
    return run


def check_webhook(backend: Backend, spec: RunSpec) -> None:
    """Raise Invalid when the run's webhook may not go where it is to go."""
    if spec.webhook is not None:
        backend.webhook_policy.check_url(spec.webhook)


def _admit(
    tx: Tx, backend: Backend, principal: Principal, spec: RunSpec, thread_id: UUID
) -> tuple[Run, Admission, list[Run]]:
    """The new run, what became of it, and the runs that have to stop for it."""
    check_webhook(backend, spec)
    thread, last = _thread(tx, principal, spec, thread_id)
    assistant = _assistant(tx, backend, principal, spec.assistant, thread)
    inflight = runs.inflight(tx, thread_id)
    admission = admit(spec.multitask_strategy, [run.status for run in inflight])
    if admission is Admission.REFUSE:
        raise Conflict(_BUSY)
    displaced: list[Run] = []
    if admission is Admission.DISPLACE:
        displaced = _displace(tx, backend, inflight, CancelAction(spec.multitask_strategy))
        thread, last = threads.lock(tx, principal, thread_id)  # those that never started have left it as it was before
    ids = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.assistant_id)}
    is_busy = thread.status is ThreadStatus.BUSY
    before = None if is_busy else {name: thread.metadata[name] for name in ids if name in thread.metadata}
    threads.take_run(tx, thread_id, ordinal=last + 1, metadata=thread.metadata | ({} if is_busy else ids))
    # A run that waits for its turn is rung by the one before it, a delayed one by the clock.
    in_its_way = [run for run in runs.inflight(tx, thread_id) if run.run_at <= datetime.now(UTC)]
    row = {**_row(principal, spec, thread, assistant, last + 1), "thread_before": before}
    rung = not in_its_way and not spec.after_seconds
    return runs.insert(tx, row, rung=rung, after_seconds=spec.after_seconds), admission, displaced


def _displace(tx: Tx, backend: Backend, inflight: list[Run], action: CancelAction) -> list[Run]:
    marked = [mark(tx, backend, run, action) for run in inflight]
    return [run for run in marked if run is not None]


def _thread(tx: Tx, principal: Principal, spec: RunSpec, thread_id: UUID) -> tuple[Thread, int]:
    try:
        return threads.lock(tx, principal, thread_id)
    except NotFound:
        if spec.if_not_exists is not IfNotExists.CREATE:
            raise NotFound(_NOT_FOUND) from None
    given = spec.config.get("metadata")
    threads.create(tx, principal, thread_id, {**(given if isinstance(given, dict) else {}), **spec.metadata})
    return threads.lock(tx, principal, thread_id)


def _assistant(tx: Tx, backend: Backend, principal: Principal, named: str | None, thread: Thread) -> Assistant:
    """An assistant by id or by its graph's name; None is the thread's last one, else the project's first graph."""
    graphs = list(backend.project.graphs)
    wanted = named or thread.metadata.get("assistant_id") or graphs[0]
    assistant_id = parse_id(str(wanted))
    if assistant_id is None:
        if wanted not in graphs:
            raise Invalid(f"Invalid assistant: '{wanted}'. Must be an assistant's id or one of: {', '.join(graphs)}")
        assistant_id = system_assistant_id(wanted)
    try:
        found = assistants.get(tx, principal, assistant_id)
    except NotFound:
        raise NotFound(_NOT_FOUND) from None
    if found.graph_id not in graphs:
        raise Invalid(f"Graph '{found.graph_id}' is not served any more. Graphs: {', '.join(graphs)}")
    return found


def _row(principal: Principal, spec: RunSpec, thread: Thread, assistant: Assistant, ordinal: int) -> dict[str, Any]:
    asked, context = mirrored(spec.config.get("configurable") or {}, spec.context)
    context = {**assistant.context, **context}
    check(assistant.context_schema, context)
    configurable = {
        **assistant.config.get("configurable", {}),
        **thread.config.get("configurable", {}),
        **asked,
    }
    ids = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.assistant_id)}
    return {
        "run_id": new_id(),
        "thread_id": thread.thread_id,
        "owner": principal.user_id,
        "assistant_id": assistant.assistant_id,
        "graph_id": assistant.graph_id,
        "ordinal": ordinal,
        "metadata": {**assistant.metadata, **thread.metadata, **spec.metadata, **ids},
        "multitask_strategy": spec.multitask_strategy,
        "kwargs": {
            "input": spec.input,
            "command": spec.command,
            "checkpoint": spec.checkpoint,
            "config": {**assistant.config, **spec.config, "configurable": configurable},
            "context": context,
            "stream_mode": list(spec.stream_modes),
            "interrupt_before": spec.interrupt_before,
            "interrupt_after": spec.interrupt_after,
            "webhook": spec.webhook,
            "feedback_keys": None,
            "temporary": spec.temporary,
            "on_completion": spec.on_completion if spec.temporary else None,
            "subgraphs": spec.stream_subgraphs,
            "resumable": spec.stream_resumable,
            "on_disconnect": spec.on_disconnect,
            "checkpoint_during": spec.durability is not Durability.EXIT,
            "durability": spec.durability,
        },
    }
