"""What has broken systems like ours is tested by name: docs/scenarios.md, and ``scenario N`` in a test's docstring."""

import ast
import re
from pathlib import Path

import pytest

from deerflow.settings import ROOT

PAGE = (ROOT / "docs" / "scenarios.md").read_text()
ROWS = re.findall(r"^(\d+)\. .+((?:\n +`.+)+)$", PAGE, re.MULTILINE)
SCENARIOS = {int(number): re.findall(r"`(.+?)`", files) for number, files in ROWS}

_NAMED = re.compile(r"scenarios? ((?:\d+(?:, | and )?)+)")


def _told(file: Path) -> set[int]:
    """The scenarios that the tests of a file say they show."""
    functions = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    docstrings = [ast.get_docstring(node) or "" for node in functions if node.name.startswith("test_")]
    lists = [numbers for docstring in docstrings for numbers in _NAMED.findall(docstring)]
    return {int(number) for numbers in lists for number in re.findall(r"\d+", numbers)}


TESTS = ROOT / "tests"
TOLD = {str(file.relative_to(TESTS)): _told(file) for file in sorted(TESTS.rglob("test_*.py"))}


def test_the_page_counts_them() -> None:
    """Each number once, none left out, none that is not understood, and all that a test names."""
    assert [int(number) for number in re.findall(r"^(\d+)\. ", PAGE, re.MULTILINE)] == list(range(1, len(ROWS) + 1))
    assert set[int]().union(*TOLD.values()) <= SCENARIOS.keys()


@pytest.mark.parametrize("number", SCENARIOS)
def test_scenario_is_shown(number: int) -> None:
    """By the tests of the files that the page names, and of no other file."""
    assert SCENARIOS[number] == [file for file, told in TOLD.items() if number in told] != []


def test_lists_are_read(tmp_path: Path) -> None:
    """One number, several, and none in code that is no test."""
    file = tmp_path / "test_x.py"
    file.write_text(
        'def test_a():\n    """scenario 3, 4: both"""\nasync def test_b():\n    """scenarios 27 and 28"""\n'
        'def help():\n    """scenario 99"""\n'
    )
    assert _told(file) == {3, 4, 27, 28}
