"""Answers that stand for a while: bounded, and who asks the same while it is being found waits for that answer."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

A = TypeVar("A")


@dataclass(frozen=True)
class _Kept(Generic[A]):
    answer: A
    until: float


class Remembered(Generic[A]):
    """Answers by what was asked. An error is told to all who waited for it, and is not kept."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._kept: OrderedDict[Hashable, _Kept[A]] = OrderedDict()
        self._being_found: dict[Hashable, Future[A]] = {}
        self._lock = Lock()

    def get(self, asked: Hashable, find: Callable[[], tuple[A, float]]) -> A:
        """The answer to *asked*; *find* gives it with the seconds for which it stands."""
        with self._lock:
            kept = self._kept.get(asked)
            if kept is not None and self._clock() < kept.until:
                self._kept.move_to_end(asked)
                return kept.answer
            finding = self._being_found.get(asked)
            if finding is None:
                mine = self._being_found[asked] = Future()
        return finding.result() if finding is not None else self._find(asked, find, mine)

    def _find(self, asked: Hashable, find: Callable[[], tuple[A, float]], mine: "Future[A]") -> A:
        began = self._clock()
        try:
            answer, seconds = find()
        except BaseException as error:
            self._end(asked)
            mine.set_exception(error)
            raise
        self._end(asked, _Kept(answer, began + seconds))
        mine.set_result(answer)
        return answer

    def _end(self, asked: Hashable, kept: _Kept[A] | None = None) -> None:
        with self._lock:
            del self._being_found[asked]
            self._kept.pop(asked, None)
            if kept is not None and self._clock() < kept.until:
                self._kept[asked] = kept
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
