"""What the pages tell readers to type works: docs/runs.md, and the commands of README.md and docs/api.md."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deerflow.settings import ROOT
from tests.conftest import SETUPS, live_on
from tests.databases import Databases
from tests.live import Live
from tests.pages import blocks, same

TOLD = "http://127.0.0.1:8123"
"""Where the pages' server listens."""


@pytest.fixture(scope="module", params=SETUPS)
def live(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server as its readers start it, with the example, which talks as slowly as theirs: so a run is seen running."""
    project = ROOT / "examples" / "deerflow" / "langgraph.json"
    server = live_on(request.param, databases, tmp_path_factory.mktemp("page"), project)
    server.start()
    yield server
    server.stop()


def test_commands(live: Live, tmp_path: Path) -> None:
    """docs/runs.md from its first command to its last, in one shell: each prints what the page shows."""
    page = [(block.command, block.shown) for block in blocks(ROOT / "docs" / "runs.md")]
    printed = in_one_shell(live, [command for command, _ in page], tmp_path)
    assert len(page) > 10
    for (command, shown), answer in zip(page, printed, strict=True):
        assert shown is None or same(shown, answer), f"{command}\n--- shown\n{shown}\n--- printed\n{answer}"


@pytest.mark.parametrize(("page", "answered"), [("README.md", "event: values"), ("docs/api.md", '"thread_id"')])
def test_commands_of(live: Live, tmp_path: Path, page: str, answered: str) -> None:
    """Whatever of a page asks a running server."""
    asking = [block.command for block in blocks(ROOT / page) if TOLD in block.command]
    assert asking
    assert all(answered in answer for answer in in_one_shell(live, asking, tmp_path))


def test_python_of_the_readme(live: Live) -> None:
    """The first program that a newcomer writes prints the answer, piece by piece."""
    (program,) = (text.split("```")[0] for text in (ROOT / "README.md").read_text().split("```python\n")[1:])
    printed = subprocess.run(
        [sys.executable, "-c", program.replace(TOLD, live.url)],
        env=environment(live),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert printed.startswith("metadata")
    assert "2*(3+4) = 14" in printed


def environment(live: Live) -> dict[str, str]:
    """A reader's shell: with accounts it holds the key, where the SDKs look for one."""
    return {**os.environ, "LANGGRAPH_API_KEY": live.api_key or ""}


def in_one_shell(live: Live, commands: list[str], folder: Path) -> list[str]:
    """What each block of commands prints; a block that fails ends the test with what it said."""
    answers = [folder / f"{number}.out" for number in range(len(commands))]
    script = "".join(
        f"{{\n{command}}} >'{answer}'\n" for command, answer in zip(commands, answers, strict=True)
    ).replace(TOLD, live.url)
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=environment(live),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    reached = [answer.read_text() for answer in answers if answer.exists()]
    assert ended.returncode == 0, f"{commands[max(len(reached) - 1, 0)]}\n{reached[-1:]}\n{ended.stderr}"
    return reached
