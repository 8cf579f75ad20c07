"""Which subgraphs of a run are at work, told from the tasks that LangGraph reports."""

from collections.abc import Iterator
from typing import Any

from deerflow.graphs import jsonable
from deerflow.graphs.transformers import Part

Namespace = tuple[str, ...]
Data = dict[str, Any]


class Subgraphs:
    """The subgraphs that have begun and not ended. One begins with its first task and ends with its parent's."""

    def __init__(self) -> None:
        self._names: dict[Namespace, str] = {}
        self._open: dict[Namespace, str] = {}
        self._calls: dict[str, str] = {}
        """The tool call that a task carries out, by the task's id."""

    def see(self, namespace: Namespace, task: Data) -> Iterator[Part]:
        """What a task's start or end says of subgraphs."""
        if "result" in task:
            yield from self._end(namespace, task)
        else:
            self._remember_call(task)
            yield from self._begin(namespace, task)

    def close(self, error: BaseException | None) -> Iterator[Part]:
        """The ends of those that are over because the run is."""
        told = {"event": "completed"} if error is None else _failed(error)
        for namespace in reversed(self._open):
            yield namespace, "lifecycle", self._named(namespace) | told
        self._open.clear()

    def _begin(self, namespace: Namespace, task: Data) -> Iterator[Part]:
        if not namespace or namespace in self._names:
            return
        node, _, task_id = namespace[-1].partition(":")
        agent = (task.get("metadata") or {}).get("lc_agent_name")
        self._names[namespace] = agent or node
        self._open[namespace] = task_id
        call = self._calls.get(task_id)
        cause = {"cause": {"type": "toolCall", "tool_call_id": call}} if agent and call else {}
        yield namespace, "lifecycle", self._named(namespace) | {"event": "started", "trigger_call_id": task_id} | cause

    def _end(self, parent: Namespace, task: Data) -> Iterator[Part]:
        for namespace, task_id in list(self._open.items()):
            if namespace[:-1] == parent and task_id == task["id"]:
                del self._open[namespace]
                yield namespace, "lifecycle", self._named(namespace) | _ending(task)

    def _named(self, namespace: Namespace) -> Data:
        return {"namespace": list(namespace), "graph_name": self._names[namespace]}

    def _remember_call(self, task: Data) -> None:
        """A task that carries out a tool call has it as its input; LangGraph wraps it, graphs may send it as it is."""
        given = task.get("input")
        one = given[0] if isinstance(given, list) and given else given
        call = one.get("tool_call", one) if isinstance(one, dict) else None
        if isinstance(call, dict) and isinstance(call.get("id"), str) and "args" in call:
            self._calls[task["id"]] = call["id"]


def _ending(task: Data) -> Data:
    """How a task's result ends the subgraph that the task ran."""
    if task.get("interrupts"):
        return {"event": "interrupted"}
    return _failed(task["error"]) if task.get("error") else {"event": "completed"}


def _failed(error: Any) -> Data:
    """A failure with as much of its text as clients may see."""
    told = jsonable.describe_error(error)["message"] if isinstance(error, BaseException) else str(error)
    return {"event": "failed", "error": told}
