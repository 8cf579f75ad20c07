"""Each request has a name: in ``X-Request-Id`` of its answer, on what is logged meanwhile, and for the run's graph.

The client's own ``X-Request-Id`` counts if it can be printed; else a new one is made. A defect is told by it.
"""

import re
from contextlib import ExitStack
from uuid import uuid4

from flask import Flask, Response, g, request

from deerflow.logs import bound

HEADER = "X-Request-Id"

_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_BOUND = "deerflow.bound"


def register(app: Flask) -> None:
    """Name all requests of an app; before anything else looks at them."""
    app.before_request(_name)
    app.after_request(_tell)
    app.teardown_request(_forget)


def fitting(sent: str | None) -> str:
    """The name that a client has sent, or a new one."""
    return sent if sent is not None and _NAME.fullmatch(sent) else str(uuid4())


def _name() -> None:
    g.request_id = fitting(request.headers.get(HEADER))
    stack = request.environ[_BOUND] = ExitStack()
    stack.enter_context(bound(request_id=g.request_id))


def _tell(answer: Response) -> Response:
    answer.headers[HEADER] = g.request_id
    return answer


def _forget(_error: BaseException | None) -> None:
    stack = request.environ.pop(_BOUND, None)
    if stack is not None:
        stack.close()
