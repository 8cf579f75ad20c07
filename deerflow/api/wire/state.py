"""Shapes of a thread's state and its history."""

from typing import Annotated, Any

from pydantic import Field

from deerflow.api.wire.body import Shape, or_absent
from deerflow.errors import Invalid

CHECKPOINT_PARTS = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")


class StateAt(Shape):
    """Body of a look at one checkpoint."""

    checkpoint: dict[str, Any]
    subgraphs: bool | None = False


class StateUpdate(Shape):
    """Body of an edit. ``values: null`` with ``as_node`` is a copy of the checkpoint."""

    values: dict[str, Any] | list[Any] | None = None
    as_node: str | None = None
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: str | None = None


MetadataKey = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]+$")]
"""What both checkpoint stores can look for; langgraph's own for SQLite refuses other keys."""


class History(Shape):
    """Body of a look at a thread's past."""

    limit: Annotated[int, or_absent(1)] = Field(default=1, ge=1, le=1_000)
    before: dict[str, Any] | None = None
    metadata: dict[MetadataKey, Any] | None = None
    checkpoint: dict[str, Any] | None = None


def named_checkpoint(checkpoint: dict[str, Any] | None, checkpoint_id: str | None = None) -> dict[str, Any]:
    """What names a checkpoint, of either way that clients name one; the thread is the path's."""
    given = {**(checkpoint or {}), **({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}
    found = {name: given[name] for name in CHECKPOINT_PARTS if given.get(name) is not None}
    for name in ("checkpoint_id", "checkpoint_ns"):
        if not isinstance(found.get(name, ""), str):
            raise Invalid(f"checkpoint.{name}: Input should be a valid string")
    if not _are_ids(found.get("checkpoint_map", {})):  # an edit would store it, and no state be read any more
        raise Invalid("checkpoint.checkpoint_map: Input should be an object of checkpoint ids by their namespaces")
    return found


def _are_ids(parents: Any) -> bool:
    return isinstance(parents, dict) and all(isinstance(each, str) for each in parents.values())


def named_before(before: dict[str, Any] | None) -> dict[str, Any] | None:
    """Where a history starts: a config as the JS SDK sends it, or a checkpoint itself."""
    if not before:
        return None
    inner = before.get("configurable", before)
    if not isinstance(inner, dict):
        raise Invalid("before.configurable: Input should be a valid dictionary")
    return named_checkpoint(inner)


def empty_state(thread_id: str, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The state of a thread that no graph has touched; a checkpoint that was asked for is echoed."""
    named = {"checkpoint_ns": "", **checkpoint, "thread_id": thread_id} if checkpoint else None
    return {
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": None,
        "created_at": None,
        "checkpoint": named,
        "parent_checkpoint": None,
        "interrupts": [],
        "checkpoint_id": checkpoint.get("checkpoint_id"),
        "parent_checkpoint_id": None,
    }
