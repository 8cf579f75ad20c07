"""The npm SDK, its newest release and the one that npm calls the latest: every method of the five clients.

``js/sdk.mjs`` is the test; here its checks are counted, and the server's processes killed when it asks for that.
"""

import pytest

from tests.conformance import javascript
from tests.conformance.cells import Cells
from tests.live import Live

pytestmark = javascript.NEEDED


@pytest.mark.parametrize(("client", "which", "checks"), [("js-1.15", "sdk1", 29), ("js-2.0", "sdk2", 26)])
def test_every_method(live: Live, cells: Cells, client: str, which: str, checks: int) -> None:
    """Assistants, threads, runs, crons, store; errors, reconnects, and what only the newest one can."""
    lines = list(javascript.run_checks(live, which))
    for line in lines:
        cells.record_calls(client, line["calls"], ok=line["error"] is None)
    wrong = [f"{line['check']}: {line['error']}" for line in lines if line["error"]]
    assert wrong == [], "\n\n".join(wrong)
    assert len(lines) == checks, [line["check"] for line in lines]
