"""Graphs that cannot be imported are told of: with the project's own stack, and else in a sentence."""

import logging
import sys
from pathlib import Path

import pytest

from deerflow import project
from deerflow.graphs.registry import Graphs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with graphs whose modules fail or end the process, one that is not there, and one whose name is not."""
    (tmp_path / "failing.py").write_text("raise RuntimeError('no model today')\n")
    (tmp_path / "script.py").write_text("import sys\n\nsys.exit('Usage: script.py FILE')\n")
    (tmp_path / "other.py").write_text("graph = 1\n")
    targets = {
        "failing": "./failing.py:graph",
        "script": "./script.py:graph",
        "missing": "./missing.py:graph",
        "typo": "./other.py:grap",
    }
    (tmp_path / "langgraph.json").write_text(f'{{"graphs": {targets}}}'.replace("'", '"'))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_a_stack_is_shown_of_the_projects_own_errors_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        broken = Graphs.load(project.load(folder / "langgraph.json")).broken
    assert broken == {
        "failing": "Graph 'failing' (./failing.py:graph): RuntimeError: no model today",
        "script": "Graph 'script' (./script.py:graph): ImportError: it calls sys.exit('Usage: script.py FILE')"
        " while it is imported",
        "missing": f"Graph 'missing' (./missing.py:graph): {folder / 'missing.py'} does not exist",
        "typo": "Graph 'typo' (./other.py:grap): ./other.py has no attribute 'grap'",
    }
    stacks = [bool(record.exc_info and record.exc_info[0]) for record in caplog.records]
    assert stacks == [True, True, False, False]
