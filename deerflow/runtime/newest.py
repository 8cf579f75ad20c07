"""The newest values of a thread, wherever they are."""

from typing import Any

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.domain.threads import Thread
from deerflow.domain.words import ThreadStatus
from deerflow.runtime.ask import thread_state


def newest_values(backend: Backend, caller: Principal, thread: Thread) -> Any:
    """What its newest checkpoint says; Unavailable when that has to be asked for and nobody answers.

    The row has what the last run has left. While another one runs, and before one has ended here, a state worker is
    asked, if there is a graph to read it with.
    """
    is_told = thread.values is not None and thread.status is not ThreadStatus.BUSY
    if is_told or thread.graph_id not in backend.project.graphs:
        return thread.values
    return thread_state(backend, caller, thread, thread.graph_id, checkpoint={}, subgraphs=False)["values"]
