"""A run's context: how it is told, and whether it fits its graph."""

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from deerflow.errors import Invalid


def mirrored(configurable: dict[str, Any], context: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """``configurable`` and ``context``, where each serves for the other when only one of the two was given."""
    if context and not configurable:
        return dict(context), context
    if configurable and not context:
        return configurable, dict(configurable)
    return configurable, context


def check(schema: dict[str, Any] | None, context: dict[str, Any]) -> None:
    """Raise Invalid, naming the key, when a context does not fit its graph's schema; keys it does not know are fine."""
    if not schema or not context:
        return
    known = {**schema, "additionalProperties": True}
    error = best_match(Draft202012Validator(known).iter_errors(context))
    if error is not None:
        where = ".".join(["context", *map(str, error.absolute_path)])
        raise Invalid(f"{where}: {error.message}")
