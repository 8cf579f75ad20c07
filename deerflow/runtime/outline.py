"""What an assistant's graph looks like: its drawing, its schemas, its subgraphs. Asked of a state worker."""

from typing import Any

from deerflow.backend import Backend
from deerflow.domain.assistants import Assistant
from deerflow.domain.principal import Principal
from deerflow.errors import Invalid
from deerflow.runtime.ask import ask


def is_told(backend: Backend) -> bool:
    """Whether somebody is there who can tell, by one look at Redis: who asks in vain waits for long."""
    return any("state" in worker.queues for worker in backend.presence.alive())


def drawing(backend: Backend, caller: Principal, assistant: Assistant, *, xray: bool | int) -> dict[str, Any]:
    """Nodes and edges; *xray*: of so many levels of subgraphs as well, True stands for all."""
    return _asked(backend, "drawing", caller, assistant, xray=xray)


def schemas(backend: Backend, caller: Principal, assistant: Assistant) -> dict[str, Any]:
    """JSON schemas of what the graph takes, keeps and gives; None where there is none."""
    return {"graph_id": assistant.graph_id, **_asked(backend, "schemas", caller, assistant)}


def subgraphs(
    backend: Backend, caller: Principal, assistant: Assistant, *, namespace: str | None, recurse: bool
) -> dict[str, Any]:
    """The schemas of the graphs within the graph by namespace, or of the one with this *namespace*."""
    return _asked(backend, "subgraphs", caller, assistant, namespace=namespace, recurse=recurse)


def _asked(backend: Backend, kind: str, caller: Principal, assistant: Assistant, **facts: Any) -> dict[str, Any]:
    """The answer of a state worker, who makes the graph for this caller with what the assistant is configured with."""
    graphs = backend.project.graphs
    if assistant.graph_id not in graphs:
        raise Invalid(f"Graph '{assistant.graph_id}' is not served any more. Graphs: {', '.join(graphs)}")
    about = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.assistant_id)}
    whose = {"owner": caller.user_id, "user": caller.user}
    answer = ask(backend, kind, **about, **whose, config=assistant.config, context=assistant.context, **facts)
    assert isinstance(answer, dict)
    return answer
