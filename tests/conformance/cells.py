"""Which endpoint each client has called with success: what was seen, and the table of docs/conformance.md.

A cell is an endpoint (method and path template, as /openapi.json names it) and a client. It is passed when the client
has called the endpoint in a check that went well, and in none that went wrong. Each database has cells of its own.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from deerflow.settings import ROOT

PAGE = ROOT / "docs" / "conformance.md"
_PYTHON = tuple(f"test_sdk_{noun}.py" for noun in ("assistants", "threads", "thread_stream", "runs", "crons", "store"))
CLIENTS = {
    "python-sync": _PYTHON,
    "python-async": _PYTHON,
    "python-remotegraph": ("test_remote_graph.py",),
    "js-1.15": ("test_js_sdk.py",),
    "js-2.0": ("test_js_sdk.py",),
    "react-classic": ("test_react.py",),
    "react-v2": ("test_react.py",),
    "http": (),
}
"""The clients, and the files of this folder whose tests make a client's calls; without one it has no column yet."""

PASSED, FAILED, UNUSED = "✓", "✗", ""
Endpoint = tuple[str, str]
_BEGIN, _END = "<!-- cells -->\n", "<!-- /cells -->\n"


class Cells:
    """What clients have called on one database."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []
        self.seen: dict[tuple[Endpoint, str], set[bool]] = defaultdict(set)

    def know(self, document: dict[str, Any]) -> None:
        """Take the endpoints from a server's /openapi.json."""
        paths = {path for path in document["paths"] if not path.startswith("/api/")}
        told = ((method.upper(), path) for path in paths for method in document["paths"][path])
        self.endpoints = sorted(told, key=lambda each: (each[1], each[0]))

    def record(self, client: str, method: str, path: str, *, ok: bool) -> None:
        """Note one call, by the path that was called; a path that leads nowhere is nobody's cell."""
        if (endpoint := self._endpoint(method, path)) is not None:
            self.seen[endpoint, client].add(ok)

    def record_calls(self, client: str, calls: Iterable[tuple[str, str, int]], *, ok: bool) -> None:
        """Note the calls of a check that went well or not; what a check wants refused counts for nothing."""
        for method, path, status in calls:
            if not ok or status < HTTPStatus.BAD_REQUEST:
                self.record(client, method, path, ok=ok)

    def cell(self, endpoint: Endpoint, client: str) -> str:
        """What has become of an endpoint with a client."""
        seen = self.seen.get((endpoint, client))
        return UNUSED if seen is None else PASSED if seen == {True} else FAILED

    def of(self, client: str) -> set[Endpoint]:
        """The endpoints that a client has called."""
        return {endpoint for endpoint, who in self.seen if who == client}

    def passed(self, client: str) -> set[Endpoint]:
        """The endpoints that a client has passed."""
        return {endpoint for endpoint in self.endpoints if self.cell(endpoint, client) == PASSED}

    def _endpoint(self, method: str, path: str) -> Endpoint | None:
        """The endpoint of a call: of several that fit, the one with the fewest placeholders."""
        fitting = [each for each in self.endpoints if each[0] == method and _pattern(each[1]).fullmatch(path)]
        return min(fitting, key=lambda each: each[1].count("{"), default=None)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


def clients_of(files: Iterable[str]) -> list[str]:
    """The clients all of whose files are among these."""
    there = set(files)
    return [client for client, needed in CLIENTS.items() if needed and there.issuperset(needed)]


def committed(page: Path = PAGE) -> dict[str, set[Endpoint]]:
    """The endpoints that each client passes, as the page has it."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in _table(page)]
    if not rows:
        return {}
    head, *body = [row for row in rows if not row[0].startswith("-")]
    return {
        client: {_named(row[0]) for row in body if row[place] == PASSED} for place, client in enumerate(head) if place
    }


def _named(cell: str) -> Endpoint:
    method, path = cell.strip("`").split(" ")
    return method, path


def _table(page: Path) -> list[str]:
    text = page.read_text()
    return text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)].splitlines()


def worse(cells: Cells, clients: Iterable[str], before: dict[str, set[Endpoint]]) -> list[str]:
    """The cells of these clients that are committed as passed and are not any more."""
    return [
        f"{client}: {method} {path} {cells.cell((method, path), client) or 'was not called'}"
        for client in clients
        for method, path in sorted(before.get(client, set()) - cells.passed(client))
    ]


def table(every: list[Cells], clients: list[str], before: dict[str, set[Endpoint]]) -> Iterator[str]:
    """The table's lines: what is passed on all of *every*; of clients that were not called, what was there before."""

    def mark(endpoint: Endpoint, client: str) -> str:
        if client not in clients:
            return PASSED if endpoint in before[client] else UNUSED
        found = {cells.cell(endpoint, client) for cells in every}
        return FAILED if FAILED in found else PASSED if found == {PASSED} else UNUSED

    columns = [client for client in CLIENTS if client in clients or client in before]
    yield f"| Endpoint | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for endpoint in every[0].endpoints:
        marks = [mark(endpoint, client) for client in columns]
        if any(marks):
            yield f"| `{' '.join(endpoint)}` | {' | '.join(marks)} |"


def write(every: list[Cells], clients: list[str], page: Path = PAGE) -> None:
    """Put the table into the page."""
    text = page.read_text()
    head, rest = text[: text.index(_BEGIN) + len(_BEGIN)], text[text.index(_END) :]
    page.write_text(head + "\n".join(table(every, clients, committed(page))) + "\n" + rest)


def packed(cells: Cells) -> str:
    """Cells as text, for the process that has started the tests."""
    seen = [[*endpoint, client, sorted(oks)] for (endpoint, client), oks in cells.seen.items()]
    return json.dumps({"endpoints": cells.endpoints, "seen": seen})


def unpacked(text: str) -> Cells:
    """The inverse."""
    told, cells = json.loads(text), Cells()
    cells.endpoints = [(method, path) for method, path in told["endpoints"]]
    for method, path, client, oks in told["seen"]:
        cells.seen[(method, path), client] = set(oks)
    return cells
