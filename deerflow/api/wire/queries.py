"""Shapes of queries, for ``/openapi.json``: views read them value by value (``body.flag``, ``number``, ``many``)."""

from typing import Literal

from pydantic import Field

from deerflow.api.wire.body import Shape

_YES = "1, true or yes; anything else is no."


class Page(Shape):
    """Which page of a list."""

    limit: int = Field(default=100, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, le=2**31)


class AssistantRemoval(Shape):
    """What goes with an assistant."""

    delete_threads: bool | None = Field(default=None, description=f"Also the caller's threads of it. {_YES}")


class DrawingWanted(Shape):
    """How deep a drawing looks."""

    xray: bool | int | None = Field(default=None, description="true: all subgraphs; a number: so many levels of them.")


class SubgraphsWanted(Shape):
    """How deep subgraphs are looked for."""

    recurse: bool | None = Field(default=None, description=f"Also those within them. {_YES}")


class ThreadQuery(Shape):
    """What is told of a thread beside its columns."""

    include: list[str] | None = Field(default=None, description="``ttl``: how long it is kept.")


class RunsWanted(Shape):
    """Which runs of a thread."""

    limit: int = Field(default=10, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, le=2**31)
    status: str | None = None
    select: list[str] | None = Field(
        default=None, description="Columns: repeated, separated by commas, or a JSON array."
    )


class AuditWanted(Page):
    """Which entries of the audit."""

    action: str | None = Field(default=None, description="An action, or its beginning: key.")
    actor: str | None = Field(default=None, description="Somebody's e-mail or id.")
    since: str | None = Field(default=None, description="A length, 7d, or a time.")


class EventsWanted(Shape):
    """Which events of a run."""

    after: int = Field(default=0, ge=0, le=2**53)
    limit: int = Field(default=100, ge=1, le=1_000)
    wait: int = Field(default=0, ge=0, le=55, description="Seconds to wait for the first one when there is none.")


class Cancelling(Shape):
    """How runs are stopped."""

    action: Literal["interrupt", "rollback"] = "interrupt"


class CancellingOne(Cancelling):
    """How a run is stopped."""

    wait: bool = Field(default=False, description=f"Whether the answer comes when it has stopped: {_YES}")


class Joining(Shape):
    """How a run is followed."""

    stream_mode: list[str] | None = Field(
        default=None, description="Only events of these modes: repeated, separated by commas, or a JSON array."
    )
    cancel_on_disconnect: bool = Field(default=False, description=f"Whether the run goes with this reader: {_YES}")


class JoiningAs(Joining):
    """How a run is followed or waited for."""

    format: Literal["json"] | None = Field(default=None, description="json: wait for what it leaves.")


class Streaming(Joining):
    """How a run is followed, and perhaps stopped."""

    action: Literal["interrupt", "rollback"] | None = Field(default=None, description="Cancel it first.")
    wait: bool = Field(default=False, description=f"With action: 204 when it has stopped, and no events: {_YES}")


class StateWanted(Shape):
    """How much of a state."""

    subgraphs: bool = Field(default=False, description=f"With the states of subgraphs: {_YES}")


class HistoryWanted(Shape):
    """Which states of a thread."""

    limit: int = Field(default=1, ge=1, le=1_000)
    before: str | None = Field(default=None, description="A checkpoint's id.")


class MetricsWanted(Shape):
    """How numbers are told."""

    format: Literal["json"] | None = Field(default=None, description="json, instead of Prometheus' text.")


class HealthWanted(Shape):
    """How thoroughly to look."""

    check_db: bool = Field(default=False, description=f"Database and broker as well: {_YES}")
