"""Answer what a thread asks a person: a run that goes on with the answers.

It goes on as the run that has asked: with its assistant, configuration, context, stream modes and breakpoints. Whether
the questions are still open is decided where the run is admitted, with the thread locked; so of two who answer one
wins, and the other hears NoSuchInterrupt.
"""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson

from deerflow.backend import Backend
from deerflow.domain.claims import configured
from deerflow.domain.idempotency import IdempotencyKey
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Run, RunSpec
from deerflow.domain.words import Durability, MultitaskStrategy, StreamMode
from deerflow.runtime.submit import Repeat, submit_once
from deerflow.storage import runs, threads

_MODES = (StreamMode.MESSAGES_TUPLE, StreamMode.VALUES)


def decide(
    backend: Backend,
    principal: Principal,
    thread_id: UUID,
    answers: dict[str, Any],
    *,
    once: str,
    metadata: dict[str, Any] | None = None,
) -> UUID:
    """Tell a thread the answers by their interrupts' ids; the id of the run that goes on with them.

    *once*: a name for this act. Whoever does it twice is told the first time's run. *metadata*: of that run.

    Raises NotFound (no such thread of this caller's), NoSuchInterrupt (answered meanwhile), Conflict (*once* stands for
    other answers), and what ``submit_once`` raises.
    """
    with backend.db.read() as tx:
        threads.get(tx, principal, thread_id)
        last = runs.page(tx, principal, thread_id, status=None, limit=1, offset=0)
    spec = replace(_going_on(last[0] if last else None, answers), metadata=metadata or {})
    said = hashlib.sha256(orjson.dumps([str(thread_id), answers], option=orjson.OPT_SORT_KEYS)).hexdigest()
    key = IdempotencyKey(f"answer:{once}", said)
    made = submit_once(backend, principal, [(spec, thread_id)], key, note=lambda new: str(new[0].run_id))
    return UUID(made.noted) if isinstance(made, Repeat) else made[0].run_id


def _going_on(asked: Run | None, answers: dict[str, Any]) -> RunSpec:
    """What the run that has asked (None: it is not known) is to be gone on with."""
    told = asked.kwargs if asked is not None else {}
    context = told.get("context") or {}
    config = told.get("config") or {}
    mine = {name: value for name, value in config.items() if name not in {"configurable", "metadata"}}
    # Of the configuration a part was the assistant's and the thread's, who add it again.
    configurable = configured(config.get("configurable") or {}) if context else {}
    return RunSpec(
        assistant=None,
        command={"resume": answers},
        answers=tuple(answers),
        config={**mine, "configurable": configurable},
        context=context,
        durability=Durability(told.get("durability", Durability.ASYNC)),
        interrupt_before=told.get("interrupt_before"),
        interrupt_after=told.get("interrupt_after"),
        stream_modes=tuple(map(StreamMode, told.get("stream_mode") or _MODES)),
        stream_subgraphs=bool(told.get("subgraphs")),
        stream_resumable=True,
        multitask_strategy=MultitaskStrategy.REJECT,
        protocol=told.get("protocol"),
    )
