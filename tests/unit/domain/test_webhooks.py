"""How long to wait before a webhook is sent again."""

import pytest

from deerflow.domain.webhooks import Receipt, pause_seconds


@pytest.mark.parametrize(
    ("tries", "pause"), [(1, 5), (2, 10), (3, 20), (10, 2_560), (13, 20_480), (14, 21_600), (10_000, 21_600)]
)
def test_pauses_double_up_to_six_hours(tries: int, pause: float) -> None:
    assert pause_seconds(tries, retry_after=None, chance=0.5) == pause


def test_what_failed_together_does_not_come_back_together() -> None:
    pauses = [pause_seconds(1, retry_after=None, chance=chance / 10) for chance in range(11)]
    assert (min(pauses), max(pauses)) == (3.75, 6.25)
    assert len(set(pauses)) == 11


@pytest.mark.parametrize(
    ("asked", "pause"), [(None, 5), (0, 5), (1, 5), (-100, 5), (120, 120), (86_400, 86_400), (10**9, 86_400)]
)
def test_retry_after_makes_a_pause_longer_within_a_day(asked: float | None, pause: float) -> None:
    assert pause_seconds(1, retry_after=asked, chance=0.5) == pause


def test_sixteen_tries_take_about_a_day() -> None:
    total = sum(pause_seconds(tries, retry_after=None, chance=0.5) for tries in range(1, 16))
    assert 20 * 3_600 < total < 28 * 3_600


@pytest.mark.parametrize(
    ("receipt", "delivered", "final"),
    [
        (Receipt(200), True, False),
        (Receipt(500, "answered 500"), False, False),
        (Receipt(error="no answer"), False, False),
        (Receipt(410, "answered 410"), False, True),
    ],
)
def test_receipts(receipt: Receipt, delivered: bool, final: bool) -> None:  # noqa: FBT001
    assert (receipt.is_delivered, receipt.is_final) == (delivered, final)
