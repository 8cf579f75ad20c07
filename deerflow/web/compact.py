"""JSON as people read it: in one line, or laid out."""

import json
from typing import Any

_LINE = 300
_SHORT = 60


def compact(value: Any) -> str:
    """A value in one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def laid_out(value: Any) -> str:
    """A value over all its lines, keys in order: so that two can be compared."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def pretty(value: Any) -> str:
    """A value over as many lines as it needs; a short one in one line."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)
