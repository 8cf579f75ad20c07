"""docs/security.md says nothing that no test shows."""

import re

import pytest

from deerflow.settings import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
TABLE = PAGE.partition("| Threat |")[2].partition("\n\n")[0]
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| (`[\w/.]+::\w+`(?:, `[\w/.]+::\w+`)*) \|$", re.MULTILINE)


def test_every_row_names_its_tests() -> None:
    """A threat without a test is a hope."""
    assert len(ROW.findall(TABLE)) == TABLE.count("\n|") - 1 > 20, "a row is not understood"


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", TABLE))))
def test_named_tests_are_there(named: str) -> None:
    """A test that is renamed or removed is missed here."""
    file, name = named.split("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)
