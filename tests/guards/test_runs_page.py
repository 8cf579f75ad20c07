"""docs/runs.md says nothing that no test shows."""

import re

import pytest

from deerflow.settings import ROOT
from tests.pages import blocks, same, sections

PAGE = ROOT / "docs" / "runs.md"
ROW = re.compile(r"^\| ([^|]+) \| [^|]+ \| (`[\w/.]+::\w+`(?:, `[\w/.]+::\w+`)*) \|$", re.MULTILINE)
SHOWN = PAGE.read_text().partition("## What shows it")[2]


def test_every_section_is_shown() -> None:
    """Each section but the list of tests itself has a row there, in the order of the page."""
    rows = list(dict.fromkeys(row[1] for row in ROW.finditer(SHOWN)))
    assert rows == [section for section in sections(PAGE) if section != "What shows it"]
    assert len(ROW.findall(SHOWN)) == SHOWN.count("\n| ") - 1, "a row is not understood"


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", SHOWN))))
def test_named_tests_are_there(named: str) -> None:
    """A test that is renamed or removed is missed here."""
    file, name = named.split("::")
    assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)


def test_most_commands_say_what_they_print() -> None:
    """A command without an answer shows nothing; the first ones only set the stage."""
    silent = [block.command for block in blocks(PAGE) if block.shown is None]
    assert len(silent) == 1


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ('{"a": 1}\n', '{"a":1}', True),
        ('{"a": "…", "b": 2}', '{"a":"any \\" thing","b":2}', True),
        ("id: 1\n…\nid: 3\n", "id: 1\r\n\r\nid: 2\r\n\r\nid: 3\r\n\r\n", True),
        ("busy\nidle\n", "busyidle", True),
        ('{"a": 1}', '{"a":1,"b":2}', False),
        ('{"a": 1, …', '{"b":2,"a":1}', False),
        ("busy\n", "idle\n", False),
        ("", "busy", False),
    ],
)
def test_same(shown: str, printed: str, expected: bool) -> None:  # noqa: FBT001
    """The comparison of the page's answers sees what it has to see."""
    assert same(shown, printed) is expected
