"""Search in a folder of markdown notes: BM25, in memory, without network."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from langchain_core.tools import BaseTool, tool

_K1, _B = 1.5, 0.75  # BM25's customary weights
_TITLE_WEIGHT = 2  # times that a title counts once more
_MOST_QUERY_CHARACTERS = 400
_WORD = re.compile(r"\w+")
_PLURAL = re.compile(r"(?<=\w\w[^s\W])s$")
_NOISE = re.compile(
    r"an?|and|are|as|at|be|by|do|does|for|from|how|in|is|it|of|on|or|that|the|this|to|was|what|when|why|with"
)


@dataclass(frozen=True)
class Hit:
    """One note that fits, with its paragraph that fits best."""

    file: str
    title: str
    passage: str
    score: float


class Index:
    """The words of all notes. It never changes, so runs share it."""

    def __init__(self, notes: Mapping[str, str]) -> None:
        self._notes = dict(notes)
        self._counts = {file: Counter(_words(_weighted(text))) for file, text in self._notes.items()}
        self._lengths = {file: counts.total() for file, counts in self._counts.items()}
        self._mean = sum(self._lengths.values()) / max(len(self._lengths), 1) or 1.0
        self._spread = Counter(word for counts in self._counts.values() for word in counts)

    @classmethod
    def of_folder(cls, folder: Path) -> "Index":
        """Read the ``*.md`` of a folder."""
        return cls({path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))})

    def search(self, query: str, limit: int = 3) -> list[Hit]:
        """The notes that fit best, best first."""
        wanted = set(_words(query[:_MOST_QUERY_CHARACTERS]))
        scores = {file: sum(self._score(word, file) for word in wanted) for file in self._notes}
        best = sorted((file for file in scores if scores[file] > 0), key=lambda file: (-scores[file], file))
        return [self._hit(file, wanted, scores[file]) for file in best[:limit]]

    def _score(self, word: str, file: str) -> float:
        count, spread = self._counts[file][word], self._spread[word]
        rarity = math.log(1 + (len(self._notes) - spread + 0.5) / (spread + 0.5))
        length = 1 - _B + _B * self._lengths[file] / self._mean
        return rarity * count * (_K1 + 1) / (count + _K1 * length)

    def _hit(self, file: str, wanted: set[str], score: float) -> Hit:
        title, _, body = self._notes[file].partition("\n")
        passages = [" ".join(passage.split()) for passage in body.split("\n\n") if passage.strip()] or [title]
        passage = max(passages, key=lambda text: len(wanted & set(_words(text))))
        return Hit(file, title.lstrip("# ").strip(), passage, score)


def search_tool(index: Index) -> BaseTool:
    """The tool that searches *index*."""

    @tool
    async def search_notes(query: str) -> str:
        """Search the local notes. Give a few words that matter, not a sentence."""
        hits = index.search(query)
        return "\n\n".join(f"{hit.title} ({hit.file}): {hit.passage}" for hit in hits) or "No note fits."

    return search_notes


def _weighted(text: str) -> str:
    """The note with its title, the first line, as often as counts for a title."""
    return text + f"\n{text.partition(chr(10))[0]}" * _TITLE_WEIGHT


def _words(text: str) -> list[str]:
    """Words in lower case without the commonest, each in the singular as far as an s goes."""
    words = (word for word in _WORD.findall(text.lower()) if not _NOISE.fullmatch(word))
    return [_PLURAL.sub("", word) for word in words]
