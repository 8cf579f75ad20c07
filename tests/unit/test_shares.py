"""Which process runs which test."""

import pytest

from tests.shares import in_order, setup_of, share_of, weight_of


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


def test_what_takes_long_comes_first() -> None:
    """A single test that starts and measures servers is more than many that start none."""
    assert weight_of("tests/integration/test_bench.py", 1) > weight_of("sqlite tests/chaos/test_a.py", 10)
    assert weight_of("sqlite tests/chaos/test_a.py", 10) > weight_of("tests/unit/test_a.py", 100)


def test_a_process_goes_on_with_the_server_that_it_has() -> None:
    """What kills servers comes database by database."""
    files = {"a": 5, "b": 1, "c": 9}
    chaos = {
        f"{setup} tests/chaos/test_{a}.py": tests for setup in ("sqlite", "postgres") for a, tests in files.items()
    }
    database, bench, *killing, unit = in_order(
        {"tests/unit/test_a.py": 100, **chaos, "tests/integration/test_bench.py": 1, "sqlite": 3000}
    )
    assert (database, bench, unit) == ("sqlite", "tests/integration/test_bench.py", "tests/unit/test_a.py")
    assert killing == [f"{setup} tests/chaos/test_{name}.py" for setup in ("postgres", "sqlite") for name in "cab"]
