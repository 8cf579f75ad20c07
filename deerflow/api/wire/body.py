"""Reading request bodies and queries into shapes, with errors a person can act on."""

import re
from typing import Annotated, Any, Self

import orjson
from flask import Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from deerflow.authz import granted
from deerflow.domain.bodies import parsed
from deerflow.domain.claims import believed
from deerflow.errors import Invalid

Metadata = Annotated[dict[str, Any], AfterValidator(believed)]
"""Metadata that a client gives to what it creates or changes; what claims an owner is left out."""


_MOST_WANTED = 1_000


def _few(wanted: dict[str, Any]) -> dict[str, Any]:
    """What is looked for, unless it is so much that to compare it with what is stored would take the database long."""
    level: list[Any] = [wanted]
    count = 0
    while level:
        inner = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        count += len(inner)
        if count > _MOST_WANTED:
            raise ValueError(f"must not look for more than {_MOST_WANTED} values")
        level = [child for child in inner if isinstance(child, dict | list)]
    return wanted


Contained = Annotated[dict[str, Any], AfterValidator(_few)]
"""What has to be contained in what is found."""


def _label(value: Any) -> Any:
    """A name without the white space around it; control characters, line feeds and the like are no name."""
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        raise ValueError("must consist of printable characters")
    return value.strip()


Label = Annotated[str, BeforeValidator(_label)]
"""What people call a thing of theirs: one line."""


def or_absent(default: Any) -> BeforeValidator:
    """For a field with a default that JSON's null stands for as well."""
    return BeforeValidator(lambda value: default if value is None else value)


class Shape(BaseModel):
    """A request body. Unknown fields are ignored: newer clients send more than we know."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def read(cls, request: Request) -> Self:
        """The body of a request; Invalid names what is wrong with it."""
        body = granted(request)
        return cls.check(parsed(request.get_data())) if body is None else cls._granted(body)

    @classmethod
    def read_as(cls, request: Request, body: Any) -> Self:
        """The same where *body* was made of the request's, as the project's handlers were shown it."""
        left = granted(request)
        return cls.check(body) if left is None else cls._granted(left)

    @classmethod
    def read_all(cls, request: Request, *, most: int) -> list[Self]:
        """A body that is a list of them, from one to *most*."""
        left = granted(request)
        bodies = parsed(request.get_data()) if left is None else left
        if not isinstance(bodies, list) or not 0 < len(bodies) <= most:
            raise Invalid(f"The request body must be a list of 1 to {most} objects")
        return [cls.check(body) if left is None else cls._granted(body) for body in bodies]

    @classmethod
    def check(cls, body: Any) -> Self:
        """The same from JSON that was read already."""
        if not isinstance(body, dict):
            raise Invalid("The request body must be a JSON object")
        return cls.parse(body)

    @classmethod
    def _granted(cls, body: Any) -> Self:
        """A body as a handler of the project has left it: what its metadata say of an owner is the handler's word."""
        found = cls.check(body)
        if "metadata" not in cls.model_fields:
            return found
        return found.model_copy(update={"metadata": body.get("metadata")})

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """The same from values that are parsed already."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {_sentence(e['msg'])}" for e in error.errors()]
            raise Invalid("\n".join(wrong)) from error


def _sentence(message: str) -> str:
    """What a validator says; pydantic puts the class of what ours raise in front."""
    return message.removeprefix("Value error, ")


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


def page_wanted(request: Request, *, default: int) -> tuple[int, int]:
    """``limit`` and ``offset`` of a list, *default* entries from its beginning when nothing is said."""
    limit = number(request, "limit", default=default, least=1, most=1_000)
    return limit, number(request, "offset", default=0, least=0, most=2**31)
