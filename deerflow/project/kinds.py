"""What values of langgraph.json may be: a kind is a question about a value, and words for what it must be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deerflow.errors import ConfigError

Kind = tuple[Callable[[Any], bool], str]

FLAG: Kind = (lambda value: isinstance(value, bool), "true or false")
TEXT: Kind = (lambda value: isinstance(value, str) and value != "", "a string that is not empty")
WORDS: Kind = (
    lambda value: isinstance(value, list) and all(isinstance(each, str) and each for each in value),
    "a list of strings",
)
SOME_WORDS: Kind = (lambda value: WORDS[0](value) and len(value) > 0, "a list of strings that is not empty")
TARGET: Kind = (lambda value: isinstance(value, str) and ":" in value.strip(":"), 'like "./auth.py:auth"')
NUMBER: Kind = (lambda value: type(value) is int and value > 0, "a positive whole number")
NUMBERS: Kind = (
    lambda value: isinstance(value, list) and all(NUMBER[0](each) for each in value),
    "a list of positive whole numbers",
)
OBJECT: Kind = (lambda value: isinstance(value, dict), "an object")
ANYTHING: Kind = (lambda _value: True, "anything")


def checked(path: Path, where: str, raw: Any, keys: dict[str, Kind]) -> Any:
    """An object whose keys are known and whose values are of their kind; null is as if it were not there."""
    if not isinstance(raw, dict):
        raise ConfigError(f'{path}: "{where}" must be an object')
    for name, value in raw.items():
        if name not in keys:
            raise ConfigError(f'{path}: "{where}.{name}" is not known; there are: {", ".join(keys)}')
        holds, told = keys[name]
        if value is not None and not holds(value):
            raise ConfigError(f'{path}: "{where}.{name}" must be {told}')
    return {name: value for name, value in raw.items() if value is not None}


def fixed(value: Any) -> Any:
    """A value as a frozen record keeps it."""
    return tuple(value) if isinstance(value, list) else value
