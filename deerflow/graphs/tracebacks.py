"""Where in the code a graph failed, as text for administrators."""

import asyncio
import concurrent.futures
import logging
import os
import traceback
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from types import TracebackType

import langchain_core
import langgraph

import deerflow
from deerflow.domain.text import fit

log = logging.getLogger(__name__)

MOST = 16_000
"""Characters of a traceback."""
_HALF = MOST // 2 - 50  # leaves room for the line that says how much is left out
_LONGEST_LINE = 1_000


def written(error: BaseException) -> str | None:
    """The traceback of an error with its causes; None when the error does not let itself be told.

    It begins with the graph's own code, where that is in it. Of what is too long it has the beginning (the frames, or
    the first cause) and the end (the error), in whole lines.
    """
    try:
        lines = traceback.format_exception(type(error), error, _from_own_code(error.__traceback__))
    except Exception:  # an error's attributes and text are the user's code, too
        log.warning("Traceback could not be written", exc_info=True)
        return None
    return _cut(fit("".join(lines)).splitlines())


_MACHINERY = tuple(
    f"{folder}{os.sep}"
    for package in (deerflow, langgraph, langchain_core, asyncio, concurrent.futures)
    for folder in package.__path__
)
"""Where the code is that calls a graph's."""


def _from_own_code(whole: TracebackType | None) -> TracebackType | None:
    """The frames from the first one on that is the graph's own; all where there is none."""
    own = whole
    while own is not None and own.tb_frame.f_code.co_filename.startswith(_MACHINERY):
        own = own.tb_next
    return own or whole


def _cut(lines: Sequence[str]) -> str:
    lines = [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…" for line in lines]
    if sum(map(len, lines)) + len(lines) <= MOST:
        return "\n".join(lines)
    first, last = _fitting(lines), len(lines) - _fitting(lines[::-1])
    return "\n".join([*lines[:first], f"… {last - first} lines are left out …", *lines[last:]])


def _fitting(lines: Sequence[str]) -> int:
    """How many lines, from the first on, go into one half."""
    return bisect_right(list(accumulate(len(line) + 1 for line in lines)), _HALF)
