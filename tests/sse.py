"""Reading SSE in tests: strictly, as the wire says."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Frame:
    """One event."""

    event: str
    data: Any
    id: int


def read_frames(response: httpx.Response) -> Iterator[Frame]:
    """The events of a stream as they come; heartbeats are skipped, anything malformed fails."""
    buffer = b""
    for chunk in response.iter_bytes():
        buffer += chunk
        while b"\r\n\r\n" in buffer:
            block, buffer = buffer.split(b"\r\n\r\n", 1)
            if block != b": heartbeat":
                yield parse(block)
    assert buffer == b"", buffer


def parse(block: bytes) -> Frame:
    """One frame: event, data and id, in this order, each line ended by CRLF."""
    event, data, number = block.split(b"\r\n")
    assert event.startswith(b"event: ")
    assert data.startswith(b"data: ")
    assert number.startswith(b"id: ")
    return Frame(event[7:].decode(), json.loads(data[6:]), int(number[4:]))


def frames_of(frames: Iterable[Frame], event: str) -> list[Any]:
    """The data of all events of one name."""
    return [frame.data for frame in frames if frame.event == event]
