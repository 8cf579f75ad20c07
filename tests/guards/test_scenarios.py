"""What has broken systems like ours is tested by name: ``scenario N`` in a test's docstring."""

import ast
import re
from pathlib import Path

import pytest

from deerflow.settings import ROOT

SCENARIOS = [*range(1, 7), *range(8, 13), 14, 15, 17, 18, 19, 22, *range(24, 33), *range(34, 63)]
"""Of the whole list those that this server can have by now."""

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


TOLD = set[int]().union(*(_told(file) for file in (ROOT / "tests").rglob("test_*.py")))


@pytest.mark.parametrize("number", SCENARIOS)
def test_scenario_is_shown(number: int) -> None:
    """At least one test names it."""
    assert number in TOLD


def test_lists_are_read(tmp_path: Path) -> None:
    """One number, several, and none in code that is no test."""
    file = tmp_path / "test_x.py"
    file.write_text(
        'def test_a():\n    """scenario 3, 4: both"""\nasync def test_b():\n    """scenarios 27 and 28"""\n'
        'def help():\n    """scenario 99"""\n'
    )
    assert _told(file) == {3, 4, 27, 28}
