"""The bench works: how fast anything is, is not a test's business."""

import json
import math
import re
import subprocess
import sys

import pytest

from bench.__main__ import GOALS
from tests.live import ROOT


def without_sizes(name):
    """A figure's name, whose numbers are smaller in a quick run."""
    return re.sub(r"[\d.]+", "N", name)


@pytest.mark.timeout(600)
def test_a_quick_run_yields_every_figure_that_has_a_goal(tmp_path):
    """On a server of its own, so one command gives the whole table."""
    told = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(told)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    figures = json.loads(told.read_text())["figures"]
    assert {without_sizes(name) for name in GOALS} <= {without_sizes(name) for name in figures}
    assert all(math.isfinite(figure["median"]) for figure in figures.values())
    assert all(name in ended.stdout for name in figures)
