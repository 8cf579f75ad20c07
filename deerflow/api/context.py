"""What a view needs at hand: the process's Backend, and JSON answers."""

from typing import Any

import orjson
from flask import Response, current_app

from deerflow.backend import Backend


def backend() -> Backend:
    """The Backend of this process."""
    opened: Backend = current_app.extensions["deerflow"]
    return opened


def json(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(value), status, content_type="application/json")
