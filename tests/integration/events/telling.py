"""Logs filled by hand, in one word a line: what workers say, without workers."""

from typing import Any

import orjson

from deerflow.backend import Backend
from deerflow.domain.runs import Run
from deerflow.domain.words import RunStatus
from deerflow.events.log import encode, head_key, log_key, outcome_key
from tests.factories import finish_run

AT_MS = 1_795_333_203_641


def say(backend: Backend, run: Run, name: str, data: Any, *, at_ms: int = AT_MS) -> int:
    """Append one entry and wake who follows; its place."""
    place = backend.log._redis.rpush(log_key(run.run_id), encode(name, orjson.dumps(data), at_ms))
    backend.log._redis.publish(log_key(run.run_id), b"")
    return int(place)


def begin(backend: Backend, run: Run) -> None:
    """The first entry of each attempt."""
    say(backend, run, "metadata", {"run_id": run.run_id, "attempt": run.attempt})


def say_v2(backend: Backend, run: Run, method: str, data: Any, *namespace: str, **more: Any) -> int:
    """One event of a v2 run."""
    return say(backend, run, f"v2:{method}", {"namespace": namespace, "data": data, **more})


def end(
    backend: Backend,
    run: Run,
    status: RunStatus = RunStatus.SUCCESS,
    *,
    left: Any = None,
    is_paused: bool = False,
    **ending: Any,
) -> None:
    """The outcome, the row, then the wake, as a worker does it."""
    backend.log._redis.set(outcome_key(run.run_id), orjson.dumps({} if left is None else left))
    if is_paused:
        backend.log._redis.hset(head_key(run.run_id), "paused", 1)
    assert finish_run(backend, run, status=status, **ending)
    backend.log.wake(run.run_id)
