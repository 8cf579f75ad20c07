"""Reading request bodies and queries into shapes, with errors a person can act on."""

import re
from typing import Annotated, Any, Self

import orjson
from flask import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from deerflow.domain.claims import believed
from deerflow.errors import Invalid

_MOST_DEPTH = 100
"""What a body may nest. Stored and shown again it lies some levels deeper, and JSON writers stop at 254."""


Metadata = Annotated[dict[str, Any], AfterValidator(believed)]
"""Metadata that a client gives to what it creates or changes; what claims an owner is left out."""


class Shape(BaseModel):
    """A request body. Unknown fields are ignored: newer clients send more than we know."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def read(cls, request: Request) -> Self:
        """The body of a request; Invalid names what is wrong with it."""
        raw = request.get_data()
        try:
            parsed = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError as error:
            raise Invalid("Invalid JSON in request body") from error
        return cls.check(parsed)

    @classmethod
    def check(cls, parsed: Any) -> Self:
        """The same from JSON that was read already, as in a list of bodies."""
        if not isinstance(parsed, dict):
            raise Invalid("The request body must be a JSON object")
        if _nests_deeper(parsed, _MOST_DEPTH):
            raise Invalid(f"The request body nests deeper than {_MOST_DEPTH} levels")
        return cls.parse(_without_nul(parsed))

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """The same from values that are parsed already."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()]
            raise Invalid("\n".join(wrong)) from error


def _nests_deeper(value: Any, most: int) -> bool:
    """Whether objects and arrays lie within each other more than *most* times; found without recursion."""
    level = [value]
    for _ in range(most):
        inner = (child for each in level for child in (each.values() if isinstance(each, dict) else each))
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _without_nul(value: Any) -> Any:
    """The same with U+FFFD for every NUL, which Postgres refuses in text."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(each) for key, each in value.items()}
    return value


def flag(value: str | None) -> bool:
    """A yes/no of a query string."""
    return (value or "").lower() in {"1", "true", "yes"}


def many(request: Request, name: str) -> list[str]:
    """A list from a query string: repeated, or one JSON array, or separated by commas."""
    found: list[str] = []
    for value in request.args.getlist(name):
        if value.startswith("["):
            try:
                found += [str(entry) for entry in orjson.loads(value)]
            except orjson.JSONDecodeError as error:
                raise Invalid(f"Invalid {name} {value}: must be a JSON array") from error
        else:
            found += [entry for entry in value.split(",") if entry]
    return found


def number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of a query string within bounds; Invalid otherwise."""
    text = request.args.get(name)
    if text is None:
        return default
    found = int(text) if re.fullmatch(r"-?\d{1,15}", text, re.ASCII) else None
    if found is None or not least <= found <= most:
        raise Invalid(f"Invalid {name} {text}: must be a whole number from {least} to {most}")
    return found
