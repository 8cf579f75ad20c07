"""The code's style, as `make check` and pre-commit see it."""

import subprocess
import sys
from pathlib import Path

import pytest

from deerflow.settings import ROOT

BIN = Path(sys.executable).parent


@pytest.mark.parametrize("command", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=" ".join)
def test_tools_are_content(command: list[str]) -> None:
    """ruff with all its rules but the named ones, one layout, strict types."""
    ended = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
