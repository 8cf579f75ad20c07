"""Steps: what the nodes of a graph did and how long it took, as far as a run's log tells.

Streams of ``tasks`` and ``debug`` say when a node begins and ends, and so does the v2 protocol. Streams of
``updates`` say when it ends; it began with its step, when the values were told last. Others name no node.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from deerflow.domain.events import Entry

_LONGEST_BYTES = 1 << 20
"""A larger event is not read for its node's name."""


@dataclass
class Step:
    """A node's work. Times are Unix milliseconds; None: not told. ``asks``: it ended with a question."""

    name: str
    began_ms: int | None
    ended_ms: int | None = None
    failed: bool = False
    asks: bool = False


def steps_of(entries: Iterable[Entry]) -> list[Step]:
    """The steps that these entries, a log from its beginning, tell of; in the order of their beginnings."""
    told = list(_told(entries))
    exact = any(kind == "task" for _, kind, _, _ in told)
    reader = _Tasks() if exact else _Updates()
    for at_ms, kind, place, data in told:
        reader.read(at_ms, kind, place, data)
    return reader.steps


class _Tasks:
    """Reads beginnings and ends. A new attempt begins its unfinished tasks again under the same id."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._open: dict[str, Step] = {}

    def read(self, at_ms: int, kind: str, place: tuple[str, ...], data: Any) -> None:
        if kind != "task" or not isinstance(data, dict) or not isinstance(data.get("name"), str):
            return
        key = str(data.get("id"))
        if "result" not in data:
            self._open[key] = Step(" / ".join((*place, data["name"])), at_ms)
            self.steps.append(self._open[key])
        elif (step := self._open.pop(key, None)) is not None:
            step.ended_ms, step.failed, step.asks = at_ms, bool(data.get("error")), bool(data.get("interrupts"))


class _Updates:
    """Reads ends. The nodes of a step end after each other; they began together, when the values were told last."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._step_began_ms: int | None = None

    def read(self, at_ms: int, kind: str, place: tuple[str, ...], data: Any) -> None:
        if kind == "values" and not place:
            self._step_began_ms = at_ms
        elif kind == "updates" and not place and isinstance(data, dict):
            for name in data:
                if name == "__interrupt__":
                    continue
                self.steps.append(Step(name, self._step_began_ms, at_ms))


def _told(entries: Iterable[Entry]) -> Iterator[tuple[int, str, tuple[str, ...], Any]]:
    """Time, kind, place within subgraphs, and data of the entries that tell of nodes."""
    for entry in entries:
        is_v2 = entry.name.startswith("v2:")
        kind, *namespace = entry.name.removeprefix("v2:").split("|")
        if kind not in {"tasks", "debug", "updates", "values"} or len(entry.data) > _LONGEST_BYTES:
            continue
        data: Any = None if kind == "values" and not is_v2 else orjson.loads(entry.data)
        if is_v2:
            namespace, data = data["namespace"], _updates(data) if kind == "updates" else data["data"]
        if kind == "debug":
            if data.get("type") not in {"task", "task_result"}:
                continue
            data = data["payload"]
        place = tuple(part.partition(":")[0] for part in namespace)
        yield entry.at_ms, "task" if kind in {"tasks", "debug"} else kind, place, data


def _updates(said: dict[str, Any]) -> dict[str, Any]:
    """A v2 event of updates as the older protocol has it: by the node."""
    return {said["node"]: said["data"]} if said.get("node") else {}
