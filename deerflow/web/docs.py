"""``/docs``: what the API tells of itself (``deerflow.document``) as a page: no script, nothing from elsewhere."""

import re
from itertools import groupby
from typing import Any

from flask import Flask, Response, current_app, make_response, render_template, request
from markupsafe import Markup

from deerflow.authz import public
from deerflow.web import look

PLACES = ("/docs", "/api/docs")

_LIMITS = {"minimum": "at least", "maximum": "at most", "maxLength": "at most", "default": "default"}
_UNITS = {"maxLength": " characters"}
_QUOTED = re.compile(r"`+([^`]+)`+")


def register(app: Flask) -> None:
    """Put the page where LangGraph's servers have it, on both mounts."""
    for place in PLACES:
        app.add_url_rule(place, f"to_docs{place.replace('/', '_')}", page, methods=["GET"])


@public
def page() -> Response:
    """All routes, what they take and what they answer, for people."""
    kept: dict[tuple[str, str], str] = current_app.extensions.setdefault("deerflow.docs", {})
    key = request.script_root, look.scheme()  # the one of what a trusted proxy says, the other of three
    if key not in kept:
        told = current_app.extensions["deerflow.document"]()
        shapes = told["components"]["schemas"]
        kept[key] = render_template(
            "docs.html",
            language="en-US",
            groups=_groups(told),
            shapes=shapes,
            kind=kind,
            prose=prose,
            version=told["info"]["version"],
        )
    answer = make_response(kept[key])
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def prose(text: str) -> Markup:
    """A docstring's sentence; what stands there between backticks is code."""
    pieces = _QUOTED.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if odd % 2 else Markup("{}").format(piece)
        for odd, piece in enumerate(pieces)
    )


def kind(schema: dict[str, Any]) -> Markup:
    """What a value may be, in words; shapes of the document are links."""
    words = _kind(schema)
    limits = [f"{word} {schema[key]}{_UNITS.get(key, '')}" for key, word in _LIMITS.items() if _says(schema, key)]
    return Markup("{}, {}").format(words, ", ".join(limits)) if limits else words


def _kind(schema: dict[str, Any]) -> Markup:
    if "$ref" in schema:
        return Markup('<a href="#shape-{0}">{0}</a>').format(schema["$ref"].rpartition("/")[2])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return Markup(" or ").join(kind(each) for each in schema[several])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(" or ").join(Markup("<code>{}</code>").format(each) for each in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(kind(schema.get("items", {})))
    said = schema.get("type", "anything")
    return Markup("{} ({})").format(said, schema["format"]) if "format" in schema else Markup("{}").format(said)


def _says(schema: dict[str, Any], key: str) -> bool:
    return schema.get(key) is not None


def _groups(told: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The operations by their tag; those under ``/api`` are the same once more."""
    operations = [
        {"path": path, "method": method.upper(), **operation}
        for path, item in told["paths"].items()
        if not f"{path}/".startswith("/api/") or path.startswith("/api/v1/")
        for method, operation in item.items()
    ]
    operations.sort(key=_tag)
    return [(tag, list(found)) for tag, found in groupby(operations, key=_tag)]


def _tag(operation: dict[str, Any]) -> str:
    return str(operation["tags"][0])
