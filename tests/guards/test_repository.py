"""What the checkout as a whole must keep."""

import json
import re
import subprocess
import sys

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from deerflow.cli.db import alembic_config
from deerflow.settings import ROOT, Settings

LOCKS = sorted(ROOT.glob("requirements*"))
INDEX_ADDRESS = re.compile(
    r"\w+://|(^|\s)(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", re.MULTILINE
)


def test_one_alembic_head() -> None:
    """Migrations are one line."""
    assert len(ScriptDirectory.from_config(alembic_config("sqlite://")).get_heads()) == 1


def test_migrations_make_the_schema(settings: Settings) -> None:
    """A migrated database has the tables and columns of the models."""
    command.check(alembic_config(settings.database))


def test_import_contracts() -> None:
    """Imports go down the stairs."""
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as main; main()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_there_are_locks() -> None:
    """The guards below look at something."""
    assert {"requirements.in", "requirements.txt"} <= {path.name for path in LOCKS}


@pytest.mark.parametrize("name", [path.name for path in LOCKS])
def test_locks_name_no_index(name: str) -> None:
    """Where packages come from is the installing machine's business."""
    found = INDEX_ADDRESS.search((ROOT / name).read_text())
    assert found is None, found


@pytest.mark.parametrize("name", [path.name for path in LOCKS if path.suffix == ".txt"])
def test_locks_are_hashed(name: str) -> None:
    """Every pinned package carries the hashes of its files."""
    pins = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"(?m)^#.*\n", "", (ROOT / name).read_text()))
    for pin in filter(str.strip, pins):
        assert re.match(r"[\w.\[\],-]+==\S+", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_npm_locks_name_no_registry() -> None:
    """As above; each package carries the hash of its archive."""
    locks = [path for path in ROOT.rglob("package-lock.json") if "node_modules" not in path.parts]
    assert locks
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        assert [name for name, told in packages.items() if "resolved" in told] == []
        assert [name for name, told in packages.items() if name and "integrity" not in told] == []
