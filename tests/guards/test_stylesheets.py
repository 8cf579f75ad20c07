"""The style sheets, which no tool looks at: a brace that is lost changes how everything after it looks."""

import re
from pathlib import Path

import pytest

from deerflow.settings import ROOT

WEB = ROOT / "deerflow" / "web"
SHEETS = sorted(file for file in (WEB / "static").rglob("*.css") if "vendor" not in file.parts)
INDENT = "  "


@pytest.mark.parametrize("file", SHEETS, ids=lambda file: str(file.name))
def test_rules_are_indented_as_deep_as_they_stand(file: Path) -> None:
    depth = 0
    for number, line in enumerate(without_comments(file).splitlines(), 1):
        opened, closed = line.count("{"), line.count("}")
        inner = depth - 1 if line.lstrip().startswith("}") else depth
        if line.strip():
            assert len(line) - len(line.lstrip()) == inner * len(INDENT), f"{file.name}:{number}: {line}"
        depth += opened - closed
    assert depth == 0, file.name


@pytest.mark.parametrize("file", SHEETS, ids=lambda file: str(file.name))
def test_a_class_that_nothing_has_is_gone(file: Path) -> None:
    """Looked for as a word, or as the end of one that is put together: ``is-${kind}``."""
    sources = [
        each for ending in ("html", "js", "py") for each in WEB.rglob(f"*.{ending}") if "vendor" not in each.parts
    ]
    words = set(re.findall(r"[\w-]+", "\n".join(each.read_text() for each in sources)))
    joined = re.findall(r"([a-z]+-)\$\{", "\n".join(each.read_text() for each in sources))
    classes = set(re.findall(r"\.([a-zA-Z][\w-]*)", without_comments(file)))
    assert {each for each in classes - words if not each.startswith(tuple(joined))} == set()


def without_comments(file: Path) -> str:
    return re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), file.read_text(), flags=re.DOTALL)
