"""Ask a state worker what only a graph can answer, and wait for its reply."""

import time
from typing import Any

from deerflow.backend import Backend
from deerflow.domain.ids import new_id
from deerflow.domain.threads import Thread
from deerflow.errors import NotFound, Unavailable

_PATIENCE_SECONDS = 10.0


def ask(backend: Backend, kind: str, **facts: Any) -> Any:
    """The answer to one question; Unavailable when no state worker answers within 10 s.

    The message is dropped by the worker once nobody waits any more (``expires_at``, Unix seconds).
    """
    question_id = new_id()
    question = {"id": str(question_id), "kind": kind, "expires_at": time.time() + _PATIENCE_SECONDS, **facts}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with backend.wakeups.watch(backend.answers.channel(question_id)) as watch:
        backend.bell.ask(question_id, question, expires_seconds=_PATIENCE_SECONDS)
        while (left := deadline - time.monotonic()) > 0:
            watch.clear()
            answer = backend.answers.take(question_id)
            if answer is not None:
                return _opened(answer)
            watch.wait(min(left, 1.0))
    raise Unavailable("No state worker answers; is one running?", retry_after=5)


def _opened(answer: dict[str, Any]) -> Any:
    problem = answer.get("problem")
    if problem is None:
        return answer["answer"]
    raise NotFound(problem) if answer.get("kind") == "not_found" else Unavailable(problem, retry_after=5)


def thread_state(backend: Backend, thread: Thread, graph_id: str, *, subgraphs: bool) -> dict[str, Any]:
    """The state of a thread as a graph reads it, in the SDKs' shape."""
    facts = {
        "thread_id": str(thread.thread_id),
        "owner": thread.owner,
        "graph_id": graph_id,
        "subgraphs": subgraphs,
    }
    answer = ask(backend, "state", **facts)
    assert isinstance(answer, dict)
    return answer
