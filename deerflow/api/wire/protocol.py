"""Shapes of the v2 event protocol, as its clients' SDKs write them."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from deerflow.api.wire.body import Shape
from deerflow.domain.protocol import CHANNELS, Namespace, Subscription
from deerflow.errors import BadRequest

_MOST = 1_000
"""Channels, namespaces, and segments of one."""
_LARGEST = (1 << 53) - 1


class Command(Shape):
    """What a client tells a thread to do."""

    id: int = Field(strict=True, ge=-_LARGEST, le=_LARGEST)
    method: str
    params: dict[str, Any] | None = None


class Done(BaseModel):
    """A command was carried out."""

    type: Literal["success"] = "success"
    id: int
    result: dict[str, Any]
    meta: dict[str, Any] = Field(default_factory=lambda: {"applied_through_seq": 0})


class Refusal(BaseModel):
    """A command was not carried out; ``error`` is a word for programs."""

    type: Literal["error"] = "error"
    id: int | None
    error: str
    message: str


CommandAnswer = Done | Refusal
"""Both come with status 200: what a protocol refuses is no failure of HTTP."""


class Answer(Shape):
    """An answer to a question."""

    interrupt_id: str
    response: Any = None


class Respond(Answer):
    """One answer, or several; and what else the run shall do that goes on with them."""

    interrupt_id: str | None = None  # type: ignore[assignment]
    responses: list[Answer] | None = Field(default=None, max_length=_MOST)

    def by_id(self) -> dict[str, Any]:
        """All answers, by their questions."""
        several = {each.interrupt_id: each.response for each in self.responses or []}
        return several if self.interrupt_id is None else {**several, self.interrupt_id: self.response}


ThreadMode = Literal["run_modes", "lifecycle", "state_update"]


class ThreadStreaming(Shape):
    """What is told of a thread, separated by commas or repeated."""

    stream_modes: list[ThreadMode] | None = None
    stream_mode: list[ThreadMode] | None = Field(default=None, description="The same, as SDKs write it.")


class EventStream(Shape):
    """What a client wants to hear of a thread."""

    channels: Any = Field(default=None, description="Channels, at least one", json_schema_extra={"type": "array"})
    namespaces: Any = Field(default=None, description="Only below these; none or empty: everything")
    depth: Any = Field(default=None, description="How many levels below the namespaces")
    since: Any = Field(default=None, description="Only what comes after this number")

    def wanted(self) -> Subscription:
        """What is wanted; BadRequest says what is wrong with it."""
        return Subscription(_channels(self.channels), _namespaces(self.namespaces), _number(self.depth), self._since())

    def _since(self) -> int:
        return min(_number(self.since) or 0, _LARGEST)


def _channels(given: Any) -> frozenset[str]:
    if not isinstance(given, list) or not 0 < len(given) <= _MOST:
        raise BadRequest("channels is required and must be a non-empty array")
    unknown = [str(each) for each in given if not _is_channel(each)]
    if unknown:
        raise BadRequest(
            f"channels contains unsupported entries: {', '.join(unknown)}. "
            f"Supported: {', '.join(CHANNELS)}, custom:<name>"
        )
    return frozenset(given)


def _is_channel(given: Any) -> bool:
    return isinstance(given, str) and (given in CHANNELS or (given.startswith("custom:") and given != "custom:"))


def _namespaces(given: Any) -> tuple[Namespace, ...]:
    if given is None:
        return ()
    good = isinstance(given, list) and len(given) <= _MOST and all(_is_namespace(each) for each in given)
    if not good:
        raise BadRequest("namespaces must be an array of arrays of strings")
    return tuple(tuple(each) for each in given)


def _is_namespace(given: Any) -> bool:
    return isinstance(given, list) and len(given) <= _MOST and all(isinstance(each, str) for each in given)


def _number(given: Any) -> int | None:
    """A number that was said; what is none is as good as nothing said."""
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None
