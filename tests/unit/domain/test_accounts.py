"""E-mail addresses: what is one, and what is too long to be looked at."""

import time

import pytest

from deerflow.domain.accounts import canonical_email
from deerflow.errors import Invalid


@pytest.mark.parametrize("typed", ["ada@example.com", " Ada@Example.COM ", "\uff41da@example.com"])
def test_one_address_however_it_is_typed(typed: str) -> None:
    assert canonical_email(typed) == "ada@example.com"


@pytest.mark.parametrize("typed", ["", "ada", "ada@", "a b@c.example", "ada@example.com\n@", "ada\x1b@example.com"])
def test_what_is_none(typed: str) -> None:
    with pytest.raises(Invalid):
        canonical_email(typed)


def test_a_long_text_is_refused_at_once() -> None:
    """Anybody can send one to the sign-in page: its normal form would keep the process busy for seconds."""
    before = time.thread_time()
    with pytest.raises(Invalid):
        canonical_email("a" + "\u0301\u0316" * 10_000 + "@example.com")
    assert time.thread_time() - before < 0.1
