"""Admit a run: assistant, thread, multitask strategy, row; then ring."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain import titles
from deerflow.domain.assistants import Assistant, system_assistant_id
from deerflow.domain.claims import ANONYMOUS, configured
from deerflow.domain.context import check, mirrored
from deerflow.domain.idempotency import IdempotencyKey
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.principal import SYSTEM, Principal, Proof
from deerflow.domain.runs import Admission, Run, RunSpec, admit
from deerflow.domain.threads import Thread
from deerflow.domain.words import CancelAction, Durability, IfNotExists, RunStatus, ThreadStatus
from deerflow.errors import Conflict, Invalid, NotFound, RateLimited
from deerflow.runtime.cancel import carry_out, mark
from deerflow.runtime.ring import ring
from deerflow.storage import assistants, idempotency, runs, threads
from deerflow.storage.database import Tx

log = logging.getLogger(__name__)

_NOT_FOUND = "Thread or assistant not found."
_BUSY = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."


class NoSuchInterrupt(NotFound):
    """The thread does not wait for an answer to this question, or not any more."""

    def __init__(self, interrupt_id: str) -> None:
        super().__init__(f"Unknown or already-consumed interrupt: {interrupt_id}")


@dataclass(frozen=True)
class Repeat:
    """Nothing was created: the key stands for an earlier request already. ``noted`` is what was noted of it."""

    noted: Any


@dataclass(frozen=True)
class Admitted:
    """A new run, what became of it, and the runs that have to stop for it."""

    run: Run
    admission: Admission
    displaced: list[Run]


def submit_once(
    backend: Backend,
    principal: Principal,
    asked: Sequence[tuple[RunSpec, UUID]],
    key: IdempotencyKey | None,
    note: Callable[[list[Run]], Any],
) -> list[Run] | Repeat:
    """Add several runs, all of them or none, unless *key* stands for what an earlier request has created.

    They are in the database when this returns, whatever becomes of the bell. *note*: what is kept of the new runs, and
    given back to who asks again.

    Raises NotFound (thread or assistant), Invalid (no such graph, too many steps, a webhook that may not go there),
    Conflict (busy, and the strategy is reject; or the key stands for something else), RateLimited (too many runs wait
    on the thread).
    """
    with backend.db.begin() as tx:
        if key is not None:
            noted = idempotency.take(tx, principal, key, keep_seconds=backend.rules.idempotency_seconds)
            if noted is not None:
                return Repeat(noted)
        admitted = [admit_run(tx, backend, principal, spec, thread_id) for spec, thread_id in asked]
        if key is not None:
            idempotency.note(tx, principal, key, note([each.run for each in admitted]))
    for each in admitted:
        set_going(backend, each)
    return [each.run for each in admitted]


def set_going(backend: Backend, admitted: Admitted) -> None:
    """What has to follow the commit; should we die before, the clock does it."""
    run = admitted.run
    facts = {"run_id": run.run_id, "thread_id": run.thread_id, "admission": admitted.admission.name}
    log.info("Run accepted", extra=facts)
    for stopping in admitted.displaced:
        carry_out(backend, stopping)
    if run.rung_at is not None:
        ring(backend, run)
    backend.threads.wake(run.thread_id)


def admit_run(tx: Tx, backend: Backend, principal: Principal, spec: RunSpec, thread_id: UUID) -> Admitted:
    """Add a run, or raise what ``submit_once`` raises; ``set_going`` has to follow the commit."""
    if spec.webhook is not None:
        backend.webhook_policy.check_url(spec.webhook)
    thread, last = _thread(tx, backend, principal, spec, thread_id)
    assistant = _assistant(tx, backend, principal, spec.assistant, thread)
    inflight = runs.inflight(tx, thread_id)
    spec = _answering(spec, thread)
    admission = admit(spec.multitask_strategy, [run.status for run in inflight])
    if admission is Admission.REFUSE:
        raise Conflict(_BUSY)
    # All that can refuse the run comes before the first mark: what a mark tells Redis is not undone by a rollback.
    row = _row(principal, spec, thread, assistant, _context_schema(tx, assistant))
    _require_few_steps(row["kwargs"]["config"], backend.rules.recursion_limit)
    stay = [run for run in inflight if run.attempt] if admission is Admission.DISPLACE else inflight
    _require_room(stay, backend.rules.thread_queue_limit)
    displaced: list[Run] = []
    if admission is Admission.DISPLACE:
        displaced = _displace(tx, backend, inflight, CancelAction(spec.multitask_strategy))
        thread, last = threads.lock(tx, principal, thread_id)  # those that never started have left it as it was before
    ids = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.assistant_id)}
    is_busy = thread.status is ThreadStatus.BUSY
    before = None if is_busy else {name: thread.metadata[name] for name in ids if name in thread.metadata}
    title = titles.given(thread.metadata) or thread.title or titles.of_run(spec.input, spec.command)
    metadata = thread.metadata | ({} if is_busy else ids)
    threads.take_run(tx, thread_id, ordinal=last + 1, title=title, metadata=metadata)
    # A run that waits for its turn is rung by the one before it, a delayed one by the clock.
    ahead = runs.inflight(tx, thread_id) if displaced else inflight
    in_its_way = [run for run in ahead if run.run_at <= datetime.now(UTC)]
    rung = not in_its_way and not spec.after_seconds
    row |= {"ordinal": last + 1, "thread_before": before}
    run = runs.insert(tx, row, rung=rung, after_seconds=spec.after_seconds)
    return Admitted(run, admission, displaced)


def _answering(spec: RunSpec, thread: Thread) -> RunSpec:
    """The same with its input as an answer, where the thread waits for one; NoSuchInterrupt if it answers nothing."""
    waits = thread.status is ThreadStatus.INTERRUPTED
    asked = [each.get("id") for of_task in (thread.interrupts or {}).values() for each in of_task] if waits else []
    for interrupt_id in spec.answers:
        if interrupt_id not in asked:
            raise NoSuchInterrupt(interrupt_id)
    starts_with_input = spec.input is not None and spec.command is None and spec.checkpoint is None
    if spec.protocol is None or not asked or not starts_with_input:
        return spec
    return replace(spec, input=None, command={"resume": spec.input})


def _require_room(ahead: list[Run], most: int) -> None:
    if sum(run.status is RunStatus.PENDING for run in ahead) >= most:
        raise RateLimited(
            f"{most} runs wait on this thread already, the most that the setting thread_queue_limit allows; "
            "try again when some have ended"
        )


def require_possible(tx: Tx, backend: Backend, spec: RunSpec, assistant: Assistant) -> None:
    """Raise Invalid for what no run of this assistant may be asked for, whatever its thread."""
    if spec.webhook is not None:
        backend.webhook_policy.check_url(spec.webhook)
    _contexts(spec, assistant, _context_schema(tx, assistant))
    _require_few_steps({**assistant.config, **spec.config}, backend.rules.recursion_limit)


def _require_few_steps(config: dict[str, Any], most: int) -> None:
    asked = config.get("recursion_limit")
    if isinstance(asked, int) and asked > most:
        raise Invalid(f"config.recursion_limit: {asked} is more than the setting recursion_limit allows, {most}")


def _displace(tx: Tx, backend: Backend, inflight: list[Run], action: CancelAction) -> list[Run]:
    marked = [mark(tx, backend, run, action) for run in inflight]
    return [run for run in marked if run is not None]


def _thread(tx: Tx, backend: Backend, principal: Principal, spec: RunSpec, thread_id: UUID) -> tuple[Thread, int]:
    try:
        return threads.lock(tx, principal, thread_id)
    except NotFound:
        if spec.if_not_exists is not IfNotExists.CREATE:
            raise NotFound(_NOT_FOUND) from None
    given = spec.config.get("metadata")
    metadata = {**(given if isinstance(given, dict) else {}), **spec.metadata}
    threads.create(tx, principal, thread_id, metadata, ttl=backend.thread_ttl)
    return threads.lock(tx, principal.unfiltered, thread_id)


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


def _context_schema(tx: Tx, assistant: Assistant) -> dict[str, Any] | None:
    """What is known of the contexts that its graph takes: that is told of the system's assistants alone."""
    return assistant.context_schema if assistant.owner == SYSTEM else assistants.context_schema(tx, assistant.graph_id)


def _contexts(
    spec: RunSpec, assistant: Assistant, context_schema: dict[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """``configurable`` as it was asked for, and the context; Invalid when that does not fit the assistant's graph."""
    asked, context = mirrored(spec.config.get("configurable") or {}, spec.context)
    context = {**assistant.context, **context}
    check(context_schema, context)
    return asked, context


def _row(
    principal: Principal, spec: RunSpec, thread: Thread, assistant: Assistant, context_schema: dict[str, Any] | None
) -> dict[str, Any]:
    """The columns of a new run but its number; Invalid when its context does not fit its graph.

    What wins over what, key by key, is the reference's order.
    """
    asked, context = _contexts(spec, assistant, context_schema)
    configurable = {
        **assistant.config.get("configurable", {}),
        **thread.config.get("configurable", {}),
        **configured(asked),
        **spec.request,
        **ANONYMOUS,
    }
    config = {**assistant.config, **spec.config, "configurable": configurable}
    ids = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.assistant_id)}
    return {
        "run_id": new_id(),
        "thread_id": thread.thread_id,
        "owner": principal.user_id,
        "key_id": principal.credential if principal.proof is Proof.KEY else None,
        "assistant_id": assistant.assistant_id,
        "graph_id": assistant.graph_id,
        "metadata": {
            **assistant.metadata,
            **thread.metadata,
            **(config.get("metadata") or {}),
            **spec.metadata,
            **ids,
        },
        "multitask_strategy": spec.multitask_strategy,
        "kwargs": {
            "input": spec.input,
            "command": spec.command,
            "checkpoint": spec.checkpoint,
            "config": config,
            "context": context,
            "stream_mode": list(spec.stream_modes),
            "interrupt_before": spec.interrupt_before,
            "interrupt_after": spec.interrupt_after,
            "webhook": spec.webhook,
            "feedback_keys": spec.feedback_keys,
            "temporary": spec.temporary,
            "on_completion": spec.on_completion if spec.temporary else None,
            "subgraphs": spec.stream_subgraphs,
            "resumable": spec.stream_resumable,
            "on_disconnect": spec.on_disconnect,
            "checkpoint_during": spec.durability is not Durability.EXIT,
            "durability": spec.durability,
            "user": principal.user,
            **({"protocol": spec.protocol} if spec.protocol is not None else {}),
        },
    }
