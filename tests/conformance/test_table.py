"""Runs last: no cell of docs/conformance.md has become worse on this database."""

import pytest

from tests.conformance.cells import Cells, committed, worse
from tests.conformance.table import SEEN, clients_run
from tests.conftest import SETUPS


@pytest.mark.parametrize("setup", SETUPS)
def test_no_cell_is_worse_than_committed(setup: str, request: pytest.FixtureRequest) -> None:
    """What docs/conformance.md says that a client passes, it has passed now; it counts when all of its tests ran."""
    seen = SEEN.get(setup, Cells())
    assert worse(seen, [client for client in clients_run(request.session) if seen.of(client)], committed()) == []
