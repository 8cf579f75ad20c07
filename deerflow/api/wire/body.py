"""Reading request bodies and queries into shapes, with errors a person can act on."""

from typing import Any, TypeVar

import orjson
from flask import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from deerflow.errors import Invalid

S = TypeVar("S", bound="Shape")


class Shape(BaseModel):
    """A request body. Unknown fields are ignored: newer clients send more than we know."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def read(cls: type[S], request: Request) -> S:
        """The body of a request; Invalid names what is wrong with it."""
        raw = request.get_data()
        try:
            parsed = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError as error:
            raise Invalid("Invalid JSON in request body") from error
        if not isinstance(parsed, dict):
            raise Invalid("The request body must be a JSON object")
        return cls.parse(parsed)

    @classmethod
    def parse(cls: type[S], values: dict[str, Any]) -> S:
        """The same from values that are parsed already."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()]
            raise Invalid("\n".join(wrong)) from error


def flag(value: str | None) -> bool:
    """A yes/no of a query string."""
    return (value or "").lower() in {"1", "true", "yes"}


def many(request: Request, *names: str) -> list[str]:
    """A list from a query string: repeated, or one JSON array, or separated by commas; under any of *names*."""
    found: list[str] = []
    for value in (v for name in names for v in request.args.getlist(name)):
        if value.startswith("["):
            try:
                listed = orjson.loads(value)
            except orjson.JSONDecodeError:
                listed = []
            found += [str(entry) for entry in listed]
        else:
            found += [entry for entry in value.split(",") if entry]
    return found


def number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of a query string within bounds; Invalid otherwise."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.lstrip("-").isdigit() and least <= int(text) <= most):
        raise Invalid(f"Invalid {name} {text}: must be a whole number from {least} to {most}")
    return int(text)
