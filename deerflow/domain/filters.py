"""Filters that the project's authorization handlers answer: which metadata a thing must have to be seen.

``{"owner": "ada"}`` and ``{"owner": {"$eq": "ada"}}``: that value. ``{"members": {"$contains": "ada"}}``: a list with
it; with a list of values, all of them. Several keys: all must hold. ``{}`` matches everything.
"""

from typing import Any

from deerflow.errors import HandlerFailed


def contained(told: dict[str, Any]) -> dict[str, Any]:
    """A filter as what the metadata must contain; HandlerFailed for one that cannot be carried out.

    None is refused: a handler that does not know its user's group must not match whatever has none.
    """
    return {_key(key): _wanted(key, value) for key, value in told.items()}


def _key(key: object) -> str:
    if not isinstance(key, str) or key.startswith("$"):
        raise HandlerFailed(f"A filter names keys of metadata; {key!r} is none")
    return key


def _wanted(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return _plain(key, value)
    if len(value) != 1 or not value.keys() <= {"$eq", "$contains"}:
        raise HandlerFailed(f"A filter's {key!r} needs one of $eq and $contains, not {sorted(map(str, value))}")
    (operator, asked) = next(iter(value.items()))
    if operator == "$eq":
        return _plain(key, asked)
    return [_plain(key, each) for each in asked] if isinstance(asked, list) else [_plain(key, asked)]


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, str | bool | int | float):
        return value
    raise HandlerFailed(f"A filter's {key!r} must be compared with a text, a number or a bool, not {value!r}")
