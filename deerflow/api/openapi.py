"""``/openapi.json``: made of the URL map, the permissions, the docstrings and what views declare by ``@describes``."""

import re
from collections.abc import Iterator
from functools import cache
from inspect import cleandoc
from typing import Any

from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from werkzeug.routing import Rule

from deerflow import __version__
from deerflow.api.describe import Description, description_of
from deerflow.api.disabled import is_disabled
from deerflow.authz import PUBLIC
from deerflow.domain.principal import THINGS
from deerflow.identity.sessions import COOKIE, CSRF_HEADER

_ARGUMENT = re.compile(r"<[^>]*?(\w+)>")
_REF = "#/components/schemas/{model}"
_READING = {"GET", "HEAD", "OPTIONS"}
_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key, df_…"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same API key"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The cookie of who is signed in"},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "Beside the cookie, for requests that may change something; /api/v1/auth/me tells it",
    },
}
_ERRORS = {
    400: "It cannot be done as it was asked for.",
    401: "Nobody has said, or proved, who is calling.",
    403: "The caller may not do this.",
    404: "There is no such thing, or it is somebody else's.",
    409: "This server's mode of authentication has no accounts.",
    413: "The body is larger than the server takes.",
    422: "A value is not of its kind.",
    429: "Too much of it for now; Retry-After says when to come back.",
    503: "A part that is needed does not answer; Retry-After says when to come back.",
}
_HEADERS = {
    "Idempotency-Key": "1 to 255 visible ASCII characters; the same request under the same key creates nothing more.",
    "Last-Event-ID": "Events after this one; -1: all of them. Without it those that come from now on.",
    "If-None-Match": "An ETag; 304 while nothing has changed.",
    "Prefer": "return=minimal: an answer without body; wait=N: hold the answer up to N seconds.",
    "x-request-id": "Names the request in the graph's configurable.",
}
"""The request's headers that views may name."""
_ERROR = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "string", "description": "One sentence."}},
}


def document(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of all routes but the pages."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if is_page(rule.rule) or is_disabled(app, rule.rule):
            continue
        for method in methods_of(rule):
            operation = _operation(rule, method, app.view_functions[rule.endpoint], schemas)
            paths.setdefault(path_of(rule), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeerFlow on Celery", "version": __version__},
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items())), "securitySchemes": _SCHEMES},
    }


def is_page(path: str) -> bool:
    """Whether a path is for people: pages are no API."""
    return path.startswith("/console") or path in {"/login", "/setup", "/docs", "/api/docs"}


def path_of(rule: Rule) -> str:
    """A rule's path as OpenAPI writes it: ``/threads/{thread_id}``."""
    return _ARGUMENT.sub(r"{\1}", rule.rule)


def methods_of(rule: Rule) -> list[str]:
    """The methods of a rule that were asked for."""
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def _operation(rule: Rule, method: str, view: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    described, permission = description_of(view), getattr(view, "permission", PUBLIC)
    told = (view.__doc__ or "").strip()
    operation: dict[str, Any] = {
        "operationId": f"{rule.endpoint}.{method.lower()}",
        "summary": told.partition("\n")[0],
        "description": cleandoc(told),
        "tags": [rule.endpoint.rsplit(".", 2)[-2]],
        "x-permission": permission,
        "security": [] if permission == PUBLIC else _security(method),
        "parameters": [*_of_path(rule), *_of_query(described, schemas), *_of_headers(described)],
        "responses": _responses(rule, described, permission, schemas),
    }
    if described.body is not None:
        schema = _schema(described.body, "validation", schemas)
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation


def _security(method: str) -> list[dict[str, list[str]]]:
    session: dict[str, list[str]] = {"session": []} if method in _READING else {"session": [], "csrf": []}
    return [{"key": []}, {"bearer": []}, session]


def _of_path(rule: Rule) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        kind = {"format": "uuid"} if name.endswith("_id") else {}
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", **kind}}


def _of_query(described: Description, schemas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if described.query is None:
        return
    whole = _schema_of(described.query, "validation")
    schemas.update(whole.get("$defs", {}))
    required = whole.get("required", [])
    for name, schema in whole["properties"].items():
        said = {"description": schema["description"]} if "description" in schema else {}
        kept = {key: value for key, value in schema.items() if key not in {"title", "description"}}
        yield {"name": name, "in": "query", "required": name in required, **said, "schema": kept}


def _of_headers(described: Description) -> Iterator[dict[str, Any]]:
    for name in described.headers:
        yield {"name": name, "in": "header", "description": _HEADERS[name], "schema": {"type": "string"}}


def _responses(rule: Rule, described: Description, permission: str, schemas: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {str(status): {"description": text} for status, text in described.also.items()}
    content: dict[str, Any] = {kind: {"schema": {"type": "string"}} for kind in described.produces}
    if described.answer is not None:
        content["application/json"] = {"schema": _schema(described.answer, "serialization", schemas)}
    good[str(described.status)] = {"description": "It is done.", **({"content": content} if content else {})}
    usual = {429, 503} | ({401, 403} if permission != PUBLIC else set())
    usual |= set() if permission in {PUBLIC, *THINGS} else {409}
    usual |= {404, 422} if rule.arguments else set()
    usual |= {400, 413, 422} if described.body is not None else set()
    usual |= {422} if described.query is not None or described.headers else set()
    errors = {status: _ERRORS[status] for status in usual} | dict(described.errors)
    error = {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}}
    told = {str(status): {"description": text, "content": error} for status, text in sorted(errors.items())}
    return dict(sorted((good | told).items()))


def _schema(shape: Any, mode: JsonSchemaMode, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a shape, by reference where it has a name; what it refers to is added to *schemas*."""
    whole = dict(_schema_of(shape, mode))
    schemas.update(whole.pop("$defs", {}))
    if "title" not in whole or whole.get("type") != "object":
        return whole
    schemas[whole["title"]] = whole
    return {"$ref": _REF.format(model=whole["title"])}


@cache
def _schema_of(shape: Any, mode: JsonSchemaMode) -> dict[str, Any]:
    return TypeAdapter(shape).json_schema(mode=mode, ref_template=_REF)
