"""Pages of the documentation as something that can be run: their commands, and what they show as the answer."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANSWERS = {"json", "text"}


@dataclass(frozen=True)
class Block:
    """Commands of a page; ``shown`` is what it says that they print, None when it says nothing."""

    command: str
    shown: str | None


def blocks(page: Path) -> list[Block]:
    """The ``sh`` blocks of a page in their order, each with the ``json`` or ``text`` block that follows at once."""
    text = page.read_text()
    fences = list(_FENCE.finditer(text))
    found = []
    for fence, after in zip(fences, [*fences[1:], None], strict=True):
        if fence[1] != "sh":
            continue
        is_shown = after is not None and after[1] in _ANSWERS and not text[fence.end() : after.start()].strip()
        found.append(Block(fence[2], after[2] if after is not None and is_shown else None))
    return found


def fenced(page: Path, language: str) -> list[str]:
    """The blocks of one language, in their order."""
    return [fence[2] for fence in _FENCE.finditer(page.read_text()) if fence[1] == language]


def sections(page: Path) -> list[str]:
    """The headings of a page's sections."""
    return re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)


def same(shown: str, printed: str) -> bool:
    """Whether a command printed what its page shows: ``…`` stands for anything, white space does not count."""
    parts = ("".join(part.split()) for part in shown.split("…"))
    return re.fullmatch(".*?".join(map(re.escape, parts)), "".join(printed.split()), re.DOTALL) is not None
