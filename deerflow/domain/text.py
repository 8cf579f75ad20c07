"""Text that every database and every client can hold."""

import re

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # not behind an odd backslash: that is text about an escape


def without_nul(json: bytes) -> bytes:
    """JSON where the character NUL, which Postgres refuses, has become U+FFFD."""
    return _NUL.sub(rb"\1\\ufffd", json) if rb"\u0000" in json else json
