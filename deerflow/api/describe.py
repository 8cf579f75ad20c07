"""What a view takes and answers, declared beside it in one line; ``openapi.py`` tells the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

View = TypeVar("View", bound=Callable[..., Any])

EVENTS, METRICS = "text/event-stream", "text/plain"
"""Media types of answers that are no JSON."""


@dataclass(frozen=True)
class Description:
    """What is said of a view. Shapes are anything that pydantic has a schema for: a ``Shape``, ``list[Shape]``, …"""

    body: Any = None
    answer: Any = None
    """The JSON that a good answer has; None: it has none."""
    status: int = 200
    errors: Mapping[int, str] = field(default_factory=dict)
    """Statuses of its own beside those that every view has."""
    query: type[BaseModel] | None = None
    """A field for everything that may stand behind the ``?``."""
    headers: tuple[str, ...] = ()
    """The request's headers that change what it does, of those that ``openapi.py`` knows."""
    produces: tuple[str, ...] = ()
    """What a good answer may be beside JSON."""
    also: Mapping[int, str] = field(default_factory=dict)
    """Further good statuses, whose answers have no body."""


NOTHING = Description()


def describes(
    *,
    body: Any = None,
    answer: Any = None,
    status: int = 200,
    errors: Mapping[int, str] | None = None,
    query: type[BaseModel] | None = None,
    headers: tuple[str, ...] = (),
    produces: tuple[str, ...] = (),
    also: Mapping[int, str] | None = None,
) -> Callable[[View], View]:
    """Declare what a view takes, and all that it may answer (see ``Description``)."""
    described = Description(body, answer, status, errors or {}, query, headers, produces, also or {})

    def decorate(view: View) -> View:
        view.described = described  # type: ignore[attr-defined]
        return view

    return decorate


def description_of(view: object) -> Description:
    """What was said of a view."""
    found: Description = getattr(view, "described", NOTHING)
    return found
