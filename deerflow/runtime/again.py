"""Run again: a new run that is asked for what another one was asked for."""

from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.claims import configured
from deerflow.domain.idempotency import IdempotencyKey, fingerprint
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Run, RunSpec
from deerflow.domain.words import Durability, StreamMode
from deerflow.runtime.submit import Repeat, submit_once

_OF_A_CRON = "cron_id"


def run_again(backend: Backend, principal: Principal, run: Run, *, press: str) -> UUID:
    """Submit a run like this one, on its thread and behind what runs there; the id of the new one.

    *press*: names the press of the button, so that a double click makes one run. Raises what ``submit_once`` raises.
    """
    asked = fingerprint("again", str(run.run_id), b"")
    made = submit_once(
        backend,
        principal,
        [(spec_of(run), run.thread_id)],
        IdempotencyKey(f"again:{press}", asked),
        note=lambda new: [str(each.run_id) for each in new],
    )
    return UUID(made.noted[0]) if isinstance(made, Repeat) else made[0].run_id


def spec_of(run: Run) -> RunSpec:
    """What a run was asked for. Its ``configurable`` goes where it changes no context: with what headers have added.

    It waits for its turn, whatever the first one did to others: pressing a button must not stop what runs now.
    """
    kwargs = run.kwargs
    config = dict(kwargs["config"])
    return RunSpec(
        assistant=str(run.assistant_id),
        input=kwargs["input"],
        config=config | {"configurable": {}},
        context=kwargs["context"],
        metadata=_without_cron(run.metadata),
        command=kwargs["command"],
        checkpoint=kwargs["checkpoint"],
        interrupt_before=kwargs["interrupt_before"],
        interrupt_after=kwargs["interrupt_after"],
        durability=Durability(kwargs["durability"]),
        stream_modes=tuple(StreamMode(mode) for mode in kwargs["stream_mode"]),
        stream_subgraphs=kwargs["subgraphs"],
        stream_resumable=kwargs["resumable"],
        feedback_keys=kwargs["feedback_keys"],
        request=_without_cron(configured(config.get("configurable") or {})),
        webhook=kwargs["webhook"],
        protocol=kwargs.get("protocol"),
    )


def _without_cron(named: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in named.items() if name != _OF_A_CRON}
