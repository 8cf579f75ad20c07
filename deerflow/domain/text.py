"""Text that every database and every client can hold."""

import math
import re
from typing import Any

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # not behind an odd backslash: that is text about an escape


def without_nul(json: bytes) -> bytes:
    """JSON where the character NUL, which Postgres refuses, has become U+FFFD."""
    return _NUL.sub(rb"\1\\ufffd", json) if rb"\u0000" in json else json


def fit(value: Any) -> Any:
    """A value in whose texts NUL has become U+FFFD and a lone surrogate ``?``; numbers that are none become null."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {fit(key): fit(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fit(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
