"""Ask a state worker what only a graph can answer, and wait for its reply."""

import time
from typing import Any
from uuid import UUID

from deerflow.backend import Backend
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Principal
from deerflow.domain.runs import Run
from deerflow.domain.steps import Step
from deerflow.domain.threads import Thread
from deerflow.errors import BadRequest, Conflict, HandlerFailed, HandlerRefused, NotFound, Unavailable

_PATIENCE_SECONDS = 10.0
_LAST_PATIENCE_SECONDS = 3.0
"""In a process that is told to stop, which has five to ten more."""


def ask(backend: Backend, kind: str, **facts: Any) -> Any:
    """The answer to one question; Unavailable when no state worker answers within 10 s.

    The message is dropped by the worker once nobody waits any more (``expires_at``, Unix seconds).
    """
    question_id = new_id()
    question = {"id": str(question_id), "kind": kind, "expires_at": time.time() + _PATIENCE_SECONDS, **facts}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with backend.wakeups.watch(backend.answers.channel(question_id)) as watch:
        watch.clear()  # of the confirmation: what is rung from now on comes after the question
        backend.bell.ask(question_id, question, expires_seconds=_PATIENCE_SECONDS)
        while (left := deadline - time.monotonic()) > 0:
            if backend.wakeups.ending:
                deadline = min(deadline, time.monotonic() + _LAST_PATIENCE_SECONDS)
            watch.wait(min(left, 1.0))
            watch.clear()
            answer = backend.answers.take(question_id)
            if answer is not None:
                return _opened(answer)
    raise Unavailable("No state worker answers; is one running?", retry_after=5)


def _opened(answer: dict[str, Any]) -> Any:
    """The answer, or the error that it tells of."""
    problem = answer.get("problem")
    if problem is None:
        return answer["answer"]
    if answer.get("kind") == "refused":
        raise HandlerRefused(problem, status=answer["status"], headers=answer["headers"])
    kinds = {"bad_request": BadRequest, "conflict": Conflict, "handler_failed": HandlerFailed}
    raise kinds.get(answer.get("kind", ""), Unavailable)(problem)


def thread_state(
    backend: Backend, caller: Principal, thread: Thread, graph_id: str, *, checkpoint: dict[str, Any], subgraphs: bool
) -> dict[str, Any]:
    """The state of a thread at a checkpoint (``{}``: the newest) as a graph reads it, in the SDKs' shape."""
    require_served(backend, graph_id)
    answer = ask(
        backend,
        "state",
        **about(caller, thread.thread_id, thread.owner, graph_id),
        checkpoint=checkpoint,
        subgraphs=subgraphs,
    )
    assert isinstance(answer, dict)
    return answer


def thread_history(
    backend: Backend,
    caller: Principal,
    thread: Thread,
    graph_id: str,
    *,
    limit: int,
    before: dict[str, Any] | None,
    metadata: dict[str, Any] | None,
    checkpoint: dict[str, Any],
) -> list[dict[str, Any]]:
    """States of a thread, newest first; *metadata* must be contained in the checkpoint's."""
    require_served(backend, graph_id)
    asked = {"limit": limit, "before": before, "metadata": metadata, "checkpoint": checkpoint}
    answer = ask(backend, "history", **about(caller, thread.thread_id, thread.owner, graph_id), **asked)
    assert isinstance(answer, list)
    return answer


def run_steps(backend: Backend, caller: Principal, run: Run, graph_id: str, *, most: int) -> list[Step]:
    """The last steps of a run as its checkpoints tell them, oldest first."""
    require_served(backend, graph_id)
    asked = {"run_id": str(run.run_id), "most": most}
    answer = ask(backend, "steps", **about(caller, run.thread_id, run.owner, graph_id), **asked)
    return [Step(**each) for each in answer]


def store(backend: Backend, caller: Principal, act: str, asked: dict[str, Any]) -> Any:
    """What the caller's long-term store answers to ``put``, ``get``, ``delete``, ``search`` or ``list_namespaces``.

    To ask for a write twice does no harm: it is the same item.
    """
    return ask(backend, "store", owner=caller.user_id, act=act, asked=asked)


def require_served(backend: Backend, graph_id: str) -> None:
    """Raise NotFound for a graph that there is none of: clients name any in a thread's metadata."""
    if graph_id not in backend.project.graphs:
        raise NotFound(f"Graph '{graph_id}' not found. Graphs: {', '.join(backend.project.graphs)}")


def about(caller: Principal, thread_id: UUID, owner: str, graph_id: str | None) -> dict[str, Any]:
    """What a question about a thread tells of it, and of who asks; a factory may look at that."""
    return {"thread_id": str(thread_id), "owner": owner, "user": caller.user, "graph_id": graph_id}
