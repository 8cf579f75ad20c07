"""An open stream of a thread, which has no end: read as far as a test wants."""

import time
from collections.abc import Iterator

_PATIENCE_SECONDS = 20.0
_HEARTBEAT = b": heartbeat"


class Stream:
    """The frames of an answer. The backend has to give heartbeats often, so that nothing is waited for in vain."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""
        self._frames: list[bytes] = []

    def frame(self) -> bytes:
        """The next frame, heartbeats too."""
        while not self._frames:
            *whole, self._left = (self._left + next(self._chunks)).split(b"\r\n\r\n")
            self._frames += whole
        return self._frames.pop(0)

    def frames(self, count: int) -> list[bytes]:
        """The next ones that are no heartbeats."""
        found: list[bytes] = []
        until = time.monotonic() + _PATIENCE_SECONDS
        while len(found) < count:
            assert time.monotonic() < until, found
            if (frame := self.frame()) != _HEARTBEAT:
                found.append(frame)
        return found

    def is_silent(self) -> bool:
        """Whether nothing but heartbeats comes."""
        return {self.frame() for _ in range(3)} == {_HEARTBEAT}

    def last_frame(self) -> bytes:
        """What comes last, when the answer is cut."""
        frame = b""
        try:
            while True:
                frame = self.frame()
        except ConnectionResetError:
            return frame
