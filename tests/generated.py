"""Calls that Schemathesis makes up from ``/openapi.json``, the same ones each time.

``DEERFLOW_EXAMPLES`` says how many of an operation; many take long, and find what few do not.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import hypothesis
from schemathesis import Case
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

AS_TOLD: list[CheckFunction] = [status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("DEERFLOW_EXAMPLES", "3"))
_CREDENTIALS = {"authorization", "x-api-key", "x-csrftoken", "cookie", "origin"}
_WAITS = {"wait"}
_ENDLESS = ("/threads/{thread_id}/stream", "/threads/{thread_id}/stream/events")


def operations(schema: BaseSchema, *, but: Iterable[str] = ()) -> Iterator[APIOperation]:
    """The operations of the mount ``/``, but for streams that have no end and those whose path begins so."""
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result.err()
        operation = result.ok()
        if not operation.path.startswith(("/api/", *but)) and operation.path not in _ENDLESS:
            yield operation


def each_example(operation: APIOperation, call: Callable[[Case], Any], most: int = EXAMPLES) -> None:
    """Have *call* make some calls of an operation, without credentials of their own, and without long waits."""

    @hypothesis.settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def made_up(case: Case) -> None:
        for name in list(case.headers or {}):
            if name.lower() in _CREDENTIALS | {"prefer"}:
                del case.headers[name]
        case.cookies = {}
        for name in _WAITS & set(case.query or {}):
            del case.query[name]
        call(case)

    made_up()


def with_ids(case: Case, ids: dict[str, str]) -> Case:
    """The same call, of things that are there."""
    for name in case.path_parameters or {}:
        if name in ids:
            case.path_parameters[name] = ids[name]
    return case
