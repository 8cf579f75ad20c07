"""Our streams are, frame by frame, the ones that were recorded from the reference server (``record.py``)."""

import json
from pathlib import Path

import httpx
import pytest

from tests.conformance.record import Frames, cases, record

RECORDED: dict[str, Frames] = json.loads(Path(__file__).with_name("recorded.json").read_text())


@pytest.mark.parametrize("case", RECORDED)
def test_same_as_recorded(http: httpx.Client, case: str) -> None:
    """A plain, nested, interrupted or failing graph says the same in each stream mode, in the same order."""
    assert record(http, cases()[case]) == RECORDED[case]


def test_every_case_is_recorded() -> None:
    """The recording holds the cases that the recorder makes, and no more."""
    assert list(RECORDED) == list(cases())
