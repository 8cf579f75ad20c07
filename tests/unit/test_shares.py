"""Which process runs which test."""

import pytest

from tests.shares import setup_of, share_of


@pytest.mark.parametrize(
    ("nodeid", "share"),
    [
        ("tests/conformance/test_a.py::test_a[sqlite]", "sqlite"),
        ("tests/integration/api/test_a.py::test_a[postgres-platform-key]", "postgres"),
        ("tests/integration/api/test_a.py::test_a[sync-sqlite]", "sqlite"),
        ("tests/e2e/test_a.py::test_a[sqlite-dark]", "sqlite"),
        ("tests/chaos/test_a.py::test_a[sqlite-interrupt]", "sqlite tests/chaos/test_a.py"),
        ("tests/chaos/test_a.py::test_a[worker]", "tests/chaos/test_a.py"),
        ("tests/unit/test_a.py::test_a[postgres://host/name]", "tests/unit/test_a.py"),
        ("tests/unit/test_sqlite.py::test_sqlite", "tests/unit/test_sqlite.py"),
    ],
)
def test_a_server_has_one_process(nodeid: str, share: str) -> None:
    """A database's tests stay together, but for chaos, whose files do; so does what needs no database."""
    assert share_of(nodeid) == share
    assert setup_of(nodeid) == next((word for word in ("sqlite", "postgres") if share.startswith(word)), None)
