"""JSON schemas as people read them: a line for each field."""

import json
from dataclasses import dataclass
from typing import Any

_MOST_KINDS = 4


@dataclass(frozen=True)
class Field:
    """One field of an object. ``kind`` is written as types are: ``string | null``, ``integer[]``."""

    name: str
    kind: str
    is_required: bool
    about: str
    default: str


def fields(schema: dict[str, Any] | None) -> list[Field]:
    """The fields at the top of a schema, the required ones first."""
    whole = schema or {}
    properties, required = whole.get("properties"), whole.get("required")
    if not isinstance(properties, dict):
        return []
    names = set(required) if isinstance(required, list) else set()
    found = [_field(name, each, is_required=name in names) for name, each in properties.items()]
    return sorted(found, key=lambda field: not field.is_required)


def _field(name: str, schema: Any, *, is_required: bool) -> Field:
    told = schema if isinstance(schema, dict) else {}
    default = "" if told.get("default") is None else json.dumps(told["default"], ensure_ascii=False)
    return Field(name, kind(told), is_required, str(told.get("description") or ""), default)


def kind(schema: Any) -> str:
    """What a value may be."""
    if not isinstance(schema, dict):
        return "any"
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(several), list):
            return _either([kind(each) for each in schema[several]])
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return _either([json.dumps(each, ensure_ascii=False) for each in values])
    if schema.get("type") == "array":
        inner = kind(schema.get("items"))
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    told = schema.get("type", "any")
    return _either([str(each) for each in told]) if isinstance(told, list) else str(told)


def _either(kinds: list[str]) -> str:
    several = list(dict.fromkeys(kinds))
    shown = several if len(several) <= _MOST_KINDS else [*several[: _MOST_KINDS - 1], "…"]
    return " | ".join(shown)
