"""Our streams are, frame by frame, the ones that were recorded from the reference server."""

import json
from pathlib import Path

import httpx
import pytest

from tests.conformance.record import Frames, cases, record

RECORDED: dict[str, Frames] = json.loads(Path(__file__).with_name("recorded.json").read_text())


@pytest.mark.parametrize("case", cases())
def test_same_as_recorded(http: httpx.Client, case: str) -> None:
    """Each stream mode and combination on a plain, nested, interrupted and failing graph."""
    assert record(http, cases()[case]) == RECORDED[case]


def test_every_case_is_recorded() -> None:
    """The recording holds the cases that the recorder makes, no more."""
    assert list(RECORDED) == list(cases())
