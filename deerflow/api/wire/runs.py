"""Shapes of runs."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import Field, model_validator

from deerflow.api.mounts import Mount
from deerflow.api.wire.body import Metadata, Shape
from deerflow.api.wire.state import CHECKPOINT_PARTS, named_checkpoint
from deerflow.api.wire.times import iso
from deerflow.domain.claims import configured
from deerflow.domain.events import Entry
from deerflow.domain.ids import parse_id
from deerflow.domain.runs import RunSpec
from deerflow.domain.words import (
    Durability,
    IfNotExists,
    MultitaskStrategy,
    OnCompletion,
    OnDisconnect,
    RunStatus,
    StreamMode,
)
from deerflow.errors import BadRequest, Invalid
from deerflow.runtime.poll import EventPage

_LONGEST_DELAY_SECONDS = 366 * 86_400


class Goto(Shape):
    """A node to go to, with an input of its own."""

    node: str
    input: Any = None


class RunConfig(Shape):
    """What a client may say in ``config``; the rest of LangGraph's own keys is the server's business."""

    tags: list[str] | None = None
    metadata: Metadata | None = None
    configurable: dict[str, Any] | None = None
    recursion_limit: Annotated[int, Field(ge=1, strict=True)] | None = None
    max_concurrency: Annotated[int, Field(ge=1, strict=True)] | None = None
    run_name: str | None = None

    def given(self) -> dict[str, Any]:
        """What was said, ``configurable`` always; without the keys there that are not the client's to fill."""
        return {**self.model_dump(exclude_none=True), "configurable": configured(self.configurable or {})}


class RunCommand(Shape):
    """What a run shall do instead of starting with an input."""

    update: dict[str, Any] | list[tuple[str, Any]] | None = None
    resume: Any = None
    goto: str | Goto | list[str | Goto] | None = None


class RunPayload(Shape):
    """What a run is created with, whoever creates it: a request, or a cron."""

    assistant_id: str | None = None
    input: Any = None
    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    metadata: Metadata | None = None
    stream_mode: StreamMode | list[StreamMode] | None = None
    stream_subgraphs: bool | None = False
    stream_resumable: bool | None = False
    multitask_strategy: Literal["reject", "rollback", "interrupt", "enqueue"] | None = None
    interrupt_before: Literal["*"] | list[str] | None = None
    interrupt_after: Literal["*"] | list[str] | None = None
    webhook: str | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = None


class RunCreate(RunPayload):
    """Body of every run creation."""

    on_disconnect: Literal["cancel", "continue"] | None = None
    if_not_exists: Literal["create", "reject"] | None = None
    command: RunCommand | None = None
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: str | None = None
    after_seconds: float | None = Field(default=None, ge=0, le=_LONGEST_DELAY_SECONDS, allow_inf_nan=False)
    on_completion: Literal["keep", "delete"] | None = None
    feedback_keys: list[str] | None = None

    def to_spec(self, mount: Mount, *, stateless: bool = False) -> RunSpec:
        """What is asked for, with the mount's defaults."""
        if stateless and self.command is not None and self.command.resume is not None:
            raise BadRequest("You must provide a thread_id when resuming.")
        if self.assistant_id is None and mount.assistant_required:
            raise Invalid("assistant_id: Field required")
        config = (self.config or RunConfig()).given()
        if config["configurable"] and self.context:
            raise BadRequest("Cannot specify both configurable and context. Prefer setting context alone.")
        return RunSpec(
            assistant=self.assistant_id,
            input=None if self.command else self.input,
            command=self.command.model_dump(exclude_unset=True) or None if self.command else None,
            checkpoint=self._checkpoint(config),
            interrupt_before=self.interrupt_before or None,
            interrupt_after=self.interrupt_after or None,
            durability=Durability(self.durability or ("exit" if self.checkpoint_during is False else "async")),
            config=config,
            context=self.context or {},
            metadata=self.metadata or {},
            stream_modes=self._modes(),
            stream_subgraphs=bool(self.stream_subgraphs),
            stream_resumable=bool(self.stream_resumable),
            after_seconds=self.after_seconds or 0.0,
            feedback_keys=self.feedback_keys or None,
            multitask_strategy=self._strategy(mount),
            on_disconnect=OnDisconnect(self.on_disconnect or mount.on_disconnect),
            if_not_exists=IfNotExists.CREATE if stateless else IfNotExists(self.if_not_exists or mount.if_not_exists),
            temporary=stateless,
            on_completion=OnCompletion(self.on_completion or mount.on_completion),
            webhook=self.webhook,
        )

    def _checkpoint(self, config: dict[str, Any]) -> dict[str, Any] | None:
        """Where to start, said in any of three ways; it leaves the config, as a resumed run starts elsewhere."""
        configurable = config["configurable"]
        said = {name: configurable.pop(name) for name in CHECKPOINT_PARTS if name in configurable}
        found = named_checkpoint({**said, **(self.checkpoint or {})}, self.checkpoint_id)
        if "checkpoint_id" in found and parse_id(found["checkpoint_id"]) is None:
            raise Invalid("Invalid checkpoint ID: must be a UUID")
        return found if "checkpoint_id" in found else None

    def _modes(self) -> tuple[StreamMode, ...]:
        asked = self.stream_mode or [StreamMode.VALUES]
        return tuple(dict.fromkeys([asked] if isinstance(asked, StreamMode) else asked))

    def _strategy(self, mount: Mount) -> MultitaskStrategy:
        return MultitaskStrategy(self.multitask_strategy or mount.multitask_strategy)


class CancelMany(Shape):
    """Which runs shall stop: a thread's by their ids, or all that have a status."""

    thread_id: UUID | None = None
    run_ids: list[UUID] | None = Field(default=None, max_length=1_000)
    status: Literal["pending", "running", "all"] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        by_id = (self.thread_id is not None, bool(self.run_ids))
        if by_id not in ((True, True), (False, False)) or (self.status is None) is not by_id[0]:
            raise ValueError("Name either thread_id and run_ids, or status")
        return self

    def statuses(self) -> tuple[RunStatus, ...]:
        """The statuses that are meant."""
        if self.status in (None, "all"):
            return RunStatus.PENDING, RunStatus.RUNNING
        return (RunStatus(self.status),)


def present_outcome(outcome: bytes, mount: Mount) -> bytes:
    """The answer of wait and join: channel values, ``__interrupt__`` or ``__error__``."""
    if not mount.failure_has_status or not outcome.startswith(b'{"__error__"'):
        return outcome
    error = orjson.loads(outcome)["__error__"]
    return orjson.dumps({"status": "error", "error": error.get("message") if error else None, "__error__": error})


def present_event_page(page: EventPage) -> dict[str, Any]:
    """A page of events; ``data`` is the event's own JSON, ``at`` when it was said."""
    shown: dict[str, Any] = {
        "events": [
            {
                "id": str(entry.place),
                "event": entry.name,
                "data": orjson.Fragment(entry.data),
                "at": _at(entry),
            }
            for entry in page.entries
        ],
        "next": page.next,
        "done": page.done,
        "status": page.run.status.value,
    }
    return shown | ({"gap_upto": page.gap_upto} if page.gap_upto is not None else {})


def _at(entry: Entry) -> str:
    return iso(datetime.fromtimestamp(entry.at_ms / 1000, tz=UTC))
