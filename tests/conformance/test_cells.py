"""How calls become cells, and cells a table; no server."""

from pathlib import Path

import pytest

from tests.conformance import cells
from tests.conformance.cells import Cells

DOCUMENT = {
    "paths": {
        "/threads": {"post": {}},
        "/threads/search": {"post": {}},
        "/threads/{thread_id}": {"get": {}, "patch": {}},
        "/api/threads": {"post": {}},
    }
}
GET, SEARCH = ("GET", "/threads/{thread_id}"), ("POST", "/threads/search")
PAGE = "# Title\n<!-- cells -->\n| Endpoint | js-2.0 | http |\n|---|---|---|\n| `GET /threads/{thread_id}` | ✓ | ✓ |\n"


@pytest.fixture
def seen() -> Cells:
    found = Cells()
    found.know(DOCUMENT)
    return found


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.md"
    file.write_text(f"{PAGE}<!-- /cells -->\nThe rest\n")
    return file


def test_one_bad_check_spoils_a_cell(seen: Cells) -> None:
    """What a check wants refused counts for nothing; what goes wrong in a bad one counts."""
    assert seen.cell(GET, "js-2.0") == cells.UNUSED
    seen.record_calls("js-2.0", [("GET", "/threads/1", 404), ("GET", "/nowhere", 200)], ok=True)
    assert seen.cell(GET, "js-2.0") == cells.UNUSED
    seen.record_calls("js-2.0", [("GET", "/threads/1", 200), ("POST", "/threads/search", 200)], ok=True)
    assert seen.passed("js-2.0") == {GET, SEARCH}
    seen.record_calls("js-2.0", [("GET", "/threads/1", 404)], ok=False)
    assert seen.cell(GET, "js-2.0") == cells.FAILED
    assert cells.unpacked(cells.packed(seen)).passed("js-2.0") == {SEARCH} == seen.passed("js-2.0")


def test_worse_is_told(seen: Cells, page: Path) -> None:
    """A committed cell has to be passed again, for the clients that ran."""
    before = cells.committed(page)
    assert before == {"js-2.0": {GET}, "http": {GET}}
    assert cells.worse(seen, ["js-2.0"], before) == ["js-2.0: GET /threads/{thread_id} was not called"]
    seen.record("js-2.0", "GET", "/threads/1", ok=False)
    assert cells.worse(seen, ["js-2.0"], before) == ["js-2.0: GET /threads/{thread_id} ✗"]
    seen.record("js-1.15", "GET", "/threads/1", ok=True)
    assert cells.worse(seen, ["js-1.15"], before) == []


def test_table_is_written(seen: Cells, page: Path) -> None:
    """It has what is passed on every database; clients that did not run keep their column, and the page its text."""
    other = cells.unpacked(cells.packed(seen))
    for each in (seen, other):
        each.record("js-2.0", "POST", "/threads/search", ok=True)
    seen.record("js-2.0", "GET", "/threads/1", ok=True)
    cells.write([seen, other], ["js-2.0"], page)
    assert cells.committed(page) == {"js-2.0": {SEARCH}, "http": {GET}}
    assert page.read_text().startswith("# Title\n<!-- cells -->\n| Endpoint | js-2.0 | http |\n")
    assert page.read_text().endswith("<!-- /cells -->\nThe rest\n")
