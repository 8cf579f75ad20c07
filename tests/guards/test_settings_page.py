"""docs/settings.md and Settings tell the same."""

import re
from pathlib import Path

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from deerflow.settings import ROOT, Settings

PAGE = ROOT / "docs" / "settings.md"
ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.*?) \| (.+?) \|")


def test_every_setting_is_documented() -> None:
    """The page has one row for each setting, with its variables and its default, and none for anything else."""
    documented = {row[1]: (row[2], row[3]) for row in map(ROW.fullmatch, PAGE.read_text().splitlines()) if row}
    assert documented == {
        name: (variables(name, field), default(field)) for name, field in Settings.model_fields.items()
    }


def test_rows_follow_the_source() -> None:
    """The page is read beside the source: the same order."""
    rows = [row[1] for row in map(ROW.fullmatch, PAGE.read_text().splitlines()) if row]
    assert rows == list(Settings.model_fields)


def variables(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    names = alias.choices if isinstance(alias, AliasChoices) else [f"DEERFLOW_{name.upper()}"]
    return ", ".join(f"`{variable}`" for variable in names)


def default(field: FieldInfo) -> str:
    value = field.default
    if value in {None, ""}:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{Path(value) if isinstance(value, Path) else value}`"
