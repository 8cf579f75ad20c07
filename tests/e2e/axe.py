"""axe-core: what people with a screen reader, a keyboard or weak eyes would trip over, as far as a program can tell."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.page import Page
from tests.live import ROOT

FILE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
NEEDED = pytest.mark.skipif(not FILE.exists(), reason="for want of axe-core (make console-vendor)")
"""Marks tests that need it."""

_RUN = """
const [only, done] = arguments;
const asked = only ? { runOnly: { type: "rule", values: only } } : {};
axe.run(document, { resultTypes: ["violations"], ...asked }).then(({ violations }) =>
  done(violations.map(({ id, impact, nodes }) => [impact, id, nodes.length, nodes[0].html, nodes[0].failureSummary])));
"""
SERIOUS = {"serious", "critical"}
FOUND = "axe"
"""The property of a test that says how much was found."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was found, of whatever weight; from the process that has started others as well."""
    ran = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    counts = [count for report in ran for name, count in report.user_properties if name == FOUND]
    if counts:
        terminalreporter.write_line(f"axe: {sum(counts)} findings on {len(counts)} pages")


def findings(page: Page, *rules: str) -> list[dict[str, Any]]:
    """What it finds on the page as it is now; with *rules* it looks for these alone."""
    if not page.run("return 'axe' in window"):
        page.cdp("Runtime.evaluate", expression=_source())
    found = page.driver.execute_async_script(_RUN, list(rules) or None)
    names = ("impact", "rule", "times", "html", "why")
    return [dict(zip(names, each, strict=True)) for each in found]


def _source(held: dict[Path, str] = {}) -> str:  # noqa: B006 - read once
    return held.setdefault(FILE, FILE.read_text())
