"""English that is left on a Chinese page: texts of the catalogue, and whatever else looks like a sentence."""

import json
import re
from functools import cache

from babel.messages.pofile import read_po

from deerflow.web.places import STATIC
from deerflow.web.words import FOLDER
from tests.e2e.page import Page

_TEXTS = r"""
const out = "code, pre, kbd, samp, time, script, style, noscript, textarea, [lang], [data-raw]";
const told = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode())
  if (node.data.trim() && !node.parentElement.closest(out)) told.push(node.data);
for (const each of document.querySelectorAll("[title], [aria-label], [placeholder], [alt]"))
  if (!each.closest(out))
    for (const name of ["title", "aria-label", "placeholder", "alt"]) told.push(each.getAttribute(name) ?? "");
return [document.title, ...told].map((text) => text.replace(/\s+/g, " ").trim()).filter((text) => text);
"""
_SENTENCE = re.compile(r"\b[A-Za-z]?[a-z]{2,} [a-z]{2,}\b")
_HOLE = re.compile(r"%\(\w+\)[sd]|\{\w+\}")


def english(page: Page, said: set[str]) -> list[str]:
    """What is still English there; *said*: what people wrote themselves."""
    found = []
    for text in page.run(_TEXTS):
        rest = _without(text, said)
        if rest in _words() or _patterns().fullmatch(rest) or _SENTENCE.search(rest):
            found.append(text)
    return found


def _without(text: str, said: set[str]) -> str:
    for each in sorted(said, key=len, reverse=True):
        text = text.replace(each, "")
    return text.strip()


@cache
def _catalogue() -> dict[str, str]:
    """Every English text of the pages and of the workspace, with its translation."""
    found: dict[str, str] = {}
    for file in (FOLDER / "zh_Hans_CN").glob("*.po"):
        with file.open("rb") as opened:
            for message in read_po(opened, locale="zh_Hans_CN"):
                if isinstance(message.id, tuple):
                    found |= dict.fromkeys(message.id, message.string[0])
                else:
                    found[message.id] = message.string
    for file in (STATIC / "strings").glob("*.zh-CN.json"):
        found |= json.loads(file.read_bytes())
    return {english: chinese for english, chinese in found.items() if english and english != chinese}


@cache
def _words() -> set[str]:
    return {text for text in _catalogue() if not _HOLE.search(text)}


@cache
def _patterns() -> re.Pattern[str]:
    """Texts with something to fill in."""
    parts = (_HOLE.split(text) for text in _catalogue() if _HOLE.search(text))
    holed = (".+".join(map(re.escape, each)) for each in parts if re.search(r"[A-Za-z]{3}", "".join(each)))
    return re.compile("|".join(holed) or "(?!)")
