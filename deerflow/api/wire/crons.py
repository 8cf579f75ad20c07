"""Shapes of crons."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from deerflow.api.mounts import PLATFORM
from deerflow.api.wire.body import Contained, Shape, or_absent
from deerflow.api.wire.runs import RunCreate, RunPayload
from deerflow.api.wire.times import iso
from deerflow.domain.crons import Cron, CronFilter
from deerflow.domain.runs import RunSpec
from deerflow.domain.words import OnCompletion
from deerflow.errors import Invalid

_FIRST_YEAR, _LAST_YEAR = 1970, 9000


def _in_utc(at: datetime) -> datetime:
    """A time that no zone and no database carries over the end of the calendar; without a zone it is UTC."""
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise ValueError(f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]


class CronPatch(RunPayload):
    """Body of a change. Metadata are merged key by key; ``end_time: null`` takes the end away."""

    schedule: str | None = None
    timezone: str | None = None
    end_time: Moment | None = None
    enabled: bool | None = None
    on_run_completed: Literal["keep", "delete"] | None = None

    def payload(self) -> dict[str, Any]:
        """What was said, as it is kept and shown. Only ``input`` and ``end_time`` know ``null``."""
        said = self.model_dump(mode="json", exclude_unset=True, exclude={"config"})
        said = {name: each for name, each in said.items() if each is not None or name in {"input", "end_time"}}
        return said | ({"config": self.config.given()} if self.config else {})

    def times(self) -> dict[str, Any]:
        """What was said of the times at which it fires, and whether it does."""
        named = {"schedule": self.schedule, "timezone": self.timezone, "enabled": self.enabled}
        said = {name: each for name, each in named.items() if each is not None}
        return said | ({"end_time": self.end_time} if "end_time" in self.model_fields_set else {})


class CronCreate(CronPatch):
    """Body of a cron's creation."""

    assistant_id: str
    schedule: str


class CronWanted(Shape):
    """Which crons are looked for."""

    assistant_id: UUID | None = None
    thread_id: UUID | None = None
    enabled: bool | None = None
    metadata: Contained | None = None

    def to_filter(self) -> CronFilter:
        """The same for storage."""
        return CronFilter(self.assistant_id, self.thread_id, self.enabled, self.metadata)


class CronSearch(CronWanted):
    """Body of a search."""

    limit: Annotated[int, or_absent(10)] = Field(default=10, ge=1, le=1_000)
    offset: Annotated[int, or_absent(0)] = Field(default=0, ge=0, lt=2**31)
    sort_by: (
        Literal["cron_id", "assistant_id", "thread_id", "next_run_date", "end_time", "created_at", "updated_at"] | None
    ) = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[str] | None = None

    @property
    def column(self) -> str:
        """The column to sort by."""
        return "next_run_at" if self.sort_by == "next_run_date" else self.sort_by or "created_at"

    def require_columns(self) -> None:
        """Raise Invalid for columns that no cron has."""
        if unknown := [name for name in self.select or [] if name not in CronShown.model_fields]:
            raise Invalid(f"Invalid select columns: {unknown}. Expected: {sorted(CronShown.model_fields)}")

    def shown(self, cron: Cron) -> dict[str, Any]:
        """A cron with the columns that were asked for."""
        whole = present_cron(cron)
        return {name: whole[name] for name in self.select} if self.select else whole


class CronShown(Shape):
    """A cron as clients read it."""

    cron_id: UUID
    assistant_id: UUID
    thread_id: UUID | None
    user_id: str
    end_time: datetime | None
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    next_run_date: datetime | None
    metadata: dict[str, Any]
    on_run_completed: Literal["keep", "delete"] | None
    enabled: bool
    created_at: datetime
    updated_at: datetime


class CronFound(TypedDict, total=False):
    """The same in a search, which may ask for some of it only."""

    cron_id: str
    assistant_id: str
    thread_id: str | None
    user_id: str
    end_time: str | None
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    next_run_date: str | None
    metadata: dict[str, Any]
    on_run_completed: str | None
    enabled: bool
    created_at: str
    updated_at: str


def spec_of(payload: dict[str, Any], *, stateless: bool) -> RunSpec:
    """What a cron's runs are created with, by the rules of every run; Invalid or BadRequest names what is wrong.

    Its metadata were looked at when they came, and may since be the word of a handler of the project.
    """
    said = {name: each for name, each in payload.items() if name in RunPayload.model_fields and name != "metadata"}
    kept = OnCompletion(payload.get("on_run_completed") or OnCompletion.DELETE)
    spec = RunCreate.parse(said).to_spec(PLATFORM, stateless=stateless)
    return replace(spec, metadata=payload.get("metadata") or {}, on_completion=kept)


def present_cron(cron: Cron) -> dict[str, Any]:
    """A cron as clients read it."""
    return {
        "cron_id": str(cron.cron_id),
        "assistant_id": str(cron.assistant_id),
        "thread_id": str(cron.thread_id) if cron.thread_id else None,
        "user_id": cron.user["identity"] if cron.user else "",
        "end_time": iso(cron.end_time) if cron.end_time else None,
        "schedule": cron.schedule,
        "timezone": cron.timezone,
        "payload": _payload(cron),
        "next_run_date": iso(cron.next_run_at) if cron.next_run_at else None,
        "metadata": cron.metadata,
        "on_run_completed": cron.on_run_completed,
        "enabled": cron.enabled,
        "created_at": iso(cron.created_at),
        "updated_at": iso(cron.updated_at),
    }


def _payload(cron: Cron) -> dict[str, Any]:
    config = cron.payload.get("config") or {}
    configurable = {**(config.get("configurable") or {}), "cron_id": str(cron.cron_id)}
    assistant = {"assistant_id": str(cron.assistant_id)}
    return {**cron.payload, **assistant, "config": {**config, "configurable": configurable}}
