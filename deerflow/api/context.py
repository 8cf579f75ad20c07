"""What a view needs at hand: the process's Backend, and JSON answers."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson
from flask import Response

from deerflow.identity.opened import backend

__all__ = ["backend", "json", "page_of"]

T = TypeVar("T")


def json(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, content_type="application/json")


def page_of(found: Sequence[T], show: Callable[[T], Any], *, limit: int, offset: int) -> Response:
    """A page of a search that was asked for one more than *limit*; the headers say whether there are more."""
    response = json([show(each) for each in found[:limit]])
    if len(found) > limit:
        response.headers["X-Pagination-Next"] = str(offset + limit)
    response.headers["X-Pagination-Total"] = str(offset + len(found))
    return response
