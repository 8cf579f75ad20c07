"""The conformance table of a test session: gathered from its processes, printed, written when asked to.

A plugin of ``tests/conftest.py``: the process that starts others collects no tests, so reads no conftest of a folder.
"""

from collections.abc import Iterator

import pytest

from tests.conformance.cells import CLIENTS, Cells, clients_of, packed, table, unpacked, write

SEEN: dict[str, Cells] = {}
"""What this process has seen, by database; where processes were started: what they have sent."""
_LAST = "test_table.py"
_CLIENTS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-conformance", action="store_true", help="put the cells into docs/conformance.md")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The comparison comes after all that it compares."""
    items.sort(key=lambda item: item.path.name == _LAST)


def clients_run(session: pytest.Session) -> list[str]:
    """The clients all of whose tests this session runs: none are selected by name, and what they need is there."""
    option = session.config.getoption
    if option("markexpr") or option("keyword") not in {"", *SEEN} or any("::" in arg for arg in session.config.args):
        return []
    there = clients_of(item.path.name for item in session.items)
    return [client for client in there if any(cells.of(client) for cells in SEEN.values())]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that was started sends what it has seen."""
    if (sent := getattr(session.config, "workeroutput", None)) is not None:
        sent["conformance"] = {setup: packed(cells) for setup, cells in SEEN.items()}
        sent["conformance_clients"] = clients_run(session)
    elif SEEN and _CLIENTS not in session.config.stash:  # else processes that were started have told it
        session.config.stash[_CLIENTS] = clients_run(session)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take what a process has sent; one that died has sent nothing."""
    sent = getattr(node, "workeroutput", {})
    SEEN.update({setup: unpacked(text) for setup, text in sent.get("conformance", {}).items()})
    if sent.get("conformance"):
        node.config.stash[_CLIENTS] = sent["conformance_clients"]  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print endpoint, client, passed; what is empty was not called."""
    every = list(SEEN.values())
    if not every:
        return
    for line in _lines(every):
        terminalreporter.write_line(line)
    if config.getoption("--write-conformance") and (clients := config.stash.get(_CLIENTS, [])):
        write(every, clients)


def _lines(every: list[Cells]) -> Iterator[str]:
    yield f"conformance, on {' and '.join(SEEN)}:"
    yield from table(every, [client for client in CLIENTS if any(cells.of(client) for cells in every)], {})
