"""The pages' scripts by themselves: their own tests in Node.js, their types, and how much there is of them."""

import gzip
import re
import subprocess

import pytest

from deerflow.settings import ROOT
from deerflow.web.places import STATIC
from deerflow.web.workspace import modules
from tests.conformance.javascript import NEEDED, NODE

pytestmark = NEEDED

MOST_BYTES = 260_000
CONSOLE = ROOT / "console"


@pytest.fixture(autouse=True)
def _is_built() -> None:
    if not (STATIC / "vendor" / "workspace-vendor.js").is_file() or not (CONSOLE / "node_modules").is_dir():
        pytest.skip("for want of the workspace's script (make console-vendor)")


def told(*command: str) -> str:
    """What a command of Node.js says; it has to go well."""
    ended = subprocess.run([str(NODE), *command], cwd=CONSOLE, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_modules_do_what_their_tests_say() -> None:
    files = [str(file) for file in sorted(STATIC.rglob("*.test.js"))]
    assert files
    assert re.search(r"^# fail 0$", told("--test", "--test-reporter=tap", *files), re.MULTILINE)


def test_the_modules_types_fit() -> None:
    """JSDoc types, strictly."""
    told("node_modules/typescript/bin/tsc", "-p", ".")


def test_the_workspace_is_not_heavy() -> None:
    sizes = {name: len(gzip.compress((STATIC / name).read_bytes())) for name in modules()}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_what_is_in_the_vendors_module_is_told_with_its_licence() -> None:
    text = (STATIC / "vendor" / "LICENSES.txt").read_text()
    for name in ("react ", "react-dom ", "htm ", "marked ", "@langchain/langgraph-sdk ", "@langchain/core "):
        assert re.search(rf"^{re.escape(name)}[\d.]+ \(", text, re.MULTILINE), name
