"""What a view takes and answers, declared beside it in one line; ``openapi.py`` tells the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Description:
    """What is said of a view. Shapes are anything that pydantic has a schema for: a ``Shape``, ``list[Shape]``, …"""

    body: Any = None
    answer: Any = None
    status: int = 200
    errors: Mapping[int, str] = field(default_factory=dict)
    """Statuses of its own beside those that every view has."""


NOTHING = Description()


def describes(
    *, body: Any = None, answer: Any = None, status: int = 200, errors: Mapping[int, str] | None = None
) -> Callable[[View], View]:
    """Declare a view's request body, its answer, the answer's status, and the errors that are its own."""
    described = Description(body, answer, status, errors or {})

    def decorate(view: View) -> View:
        view.described = described  # type: ignore[attr-defined]
        return view

    return decorate


def description_of(view: object) -> Description:
    """What was said of a view."""
    found: Description = getattr(view, "described", NOTHING)
    return found
