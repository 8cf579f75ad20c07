"""Whom an address stands for."""

import pytest

from deerflow.auth.addresses import household


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "local"),
        (None, "local"),
        ("rubbish", "local"),
    ],
)
def test_an_address_stands_for_its_line(address: str | None, expected: str) -> None:
    assert household(address) == expected
