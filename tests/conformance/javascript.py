"""Node and the npm packages of ``js/``, installed when the first test needs them."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.site import site
from tests.live import Live

FOLDER = Path(__file__).parent / "js"
NODE, NPM = shutil.which("node"), shutil.which("npm")
NEEDED = pytest.mark.skipif(NODE is None or NPM is None, reason="for want of Node.js 20 or newer (node and npm)")
"""Marks tests that need it."""


def install() -> None:
    """Make ``node_modules`` hold what the lock names; of two processes one installs."""
    lock = FOLDER / "package-lock.json"
    stamp = FOLDER / "node_modules" / ".lock-hash"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        ended = subprocess.run(
            [str(NPM), "ci", "--ignore-scripts"], cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == 0, ended.stderr
        stamp.write_text(wanted)


def bundle(folder: Path) -> Path:
    """Build the page into *folder*."""
    install()
    command = [str(NODE), "node_modules/esbuild/bin/esbuild", "page.jsx", "--bundle", "--jsx=automatic"]
    options = ["--log-level=warning", '--define:process.env.NODE_ENV="production"', f"--outfile={folder / 'page.js'}"]
    subprocess.run([*command, *options], cwd=FOLDER, check=True, timeout=100)
    shutil.copy(FOLDER / "page.html", folder)
    return folder


def run_checks(live: Live, which: str) -> Iterator[dict[str, Any]]:
    """The lines that sdk.mjs says of one SDK: a check each. What it asks for is broken for it."""
    install()
    key = {"LANGGRAPH_API_KEY": live.api_key} if live.api_key else {}
    with site(None, to=live.port) as line, _node("sdk.mjs", which, live.url, line.origin, **key) as process:
        assert process.stdout is not None
        for told in map(json.loads, process.stdout):
            match told.get("break"):
                case "worker":
                    live.kill("worker")
                case "connection":
                    line.cut()
                case None:
                    yield told
        assert process.wait(10) == 0


@contextmanager
def _node(*words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command, variables = [str(NODE), *words], {**os.environ, **environment}
    with subprocess.Popen(command, cwd=FOLDER, env=variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
