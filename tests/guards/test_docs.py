"""What the documents say is there, and what is there is documented."""

import re
from dataclasses import fields

import click
import pytest

from app import create_app
from deerflow.authz import PUBLIC
from deerflow.cli.__main__ import main
from deerflow.domain.assistants import Assistant, AssistantVersion
from deerflow.domain.crons import Cron
from deerflow.domain.runs import Run
from deerflow.domain.threads import Thread
from deerflow.domain.webhooks import Webhook
from deerflow.settings import ROOT, Settings
from deerflow.storage import models

_ROW = re.compile(r"^\| (GET|POST|PUT|PATCH|DELETE) \| `([^`]+)` \| ([\w:]+) \|", re.MULTILINE)


def test_every_route_is_documented() -> None:
    """docs/api.md and the URL map name the same routes with the same permissions."""
    app = create_app(Settings(redis_url="redis://unused", database_url="sqlite:///unused", auth="none"))
    there = {
        (
            method,
            re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule),
            getattr(app.view_functions[rule.endpoint], "permission", PUBLIC),
        )
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith("/api/") or rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    app.extensions["deerflow"].close()
    assert set(_ROW.findall((ROOT / "docs" / "api.md").read_text())) == there


def test_every_command_and_option_is_told() -> None:
    """Each command helps, and the README names every option of serve."""
    readme = (ROOT / "README.md").read_text()
    for name, command in main.commands.items():
        assert command.get_short_help_str(), name
        assert f"`{name}`" in readme or f" {name}" in readme, name
    options = [o for p in main.commands["serve"].params if isinstance(p, click.Option) for o in p.opts]
    assert [o for o in options if o not in readme] == []


@pytest.mark.parametrize("name", ["users", "keys", "sessions", "audit"])
def test_docs_users_tells_every_command_and_option(name: str) -> None:
    """docs/users.md has each command on a line with its options."""
    told = (ROOT / "docs" / "users.md").read_text()
    command = main.commands[name]
    subs = {f"{name} {sub}": each for sub, each in command.commands.items()} if isinstance(command, click.Group) else {}
    for words, each in (subs or {name: command}).items():
        line = " ".join(found for found in told.splitlines() if re.search(rf"`{words}[ `]", found))
        missing = [
            option for p in each.params if isinstance(p, click.Option) for option in p.opts if option not in line
        ]
        assert line, words
        assert missing == [], words


def test_architecture_names_every_file() -> None:
    """The tree of ARCHITECTURE.md is the one of the checkout."""
    told = (ROOT / "ARCHITECTURE.md").read_text()
    modules = {
        path.relative_to(ROOT)
        for path in (ROOT / "deerflow").rglob("*.py")
        if path.stem not in {"__init__", "__main__"}
    }
    missing = sorted(str(m) for m in modules if not re.search(rf"\b{m.stem}\b", told))
    assert missing == []
    rooms = {path.parent.name for path in (ROOT / "deerflow").glob("*/__init__.py")}
    assert [room for room in sorted(rooms) if f"{room}/" not in told] == []


@pytest.mark.parametrize(
    ("record", "table", "hidden"),
    [
        (Run, models.runs, {"progressed", "traceback"}),
        (Thread, models.threads, {"resting", "last_ordinal", "fence"}),
        (Assistant, models.assistants, set()),
        (AssistantVersion, models.assistant_versions, set()),
        (Cron, models.crons, set()),
        (Webhook, models.webhooks, {"payload"}),
    ],
)
def test_records_match_their_tables(record: type, table: models.sa.Table, hidden: set[str]) -> None:
    """A record has the columns of its table, but for those that only storage needs."""
    assert {f.name for f in fields(record)} == {c.name for c in table.columns} - hidden


def test_adrs_are_numbered_without_holes() -> None:
    """And each says its context, choice and price."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert all(f"**{part}.**" in page.read_text() for part in ("Context", "Choice", "Price")), page.name


def test_documents_are_120_columns_wide() -> None:
    """But for tables and what is to be typed. The rooms of ARCHITECTURE.md are neither."""
    wide = []
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]):
        is_code = False
        for number, line in enumerate(page.read_text().splitlines(), start=1):
            is_code ^= line.startswith("```")
            is_free = line.startswith("|") or (is_code and page.name != "ARCHITECTURE.md")
            if len(line) > 120 and not is_free:
                wide.append(f"{page.relative_to(ROOT)}:{number}")
    assert wide == []
