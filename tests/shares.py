"""What one of several test processes runs as a whole: its servers are started once, and no other process has them.

Not by ``xdist_group``: what pytest-xdist 3.8 makes of that mark is lost on pytest 9.2, without a word.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

import pytest
from xdist.scheduler import LoadScopeScheduling

SETUPS = ("sqlite", "postgres")
_LONG = {"/test_bench.py": 500, "/test_style.py": 20, "/chaos/": 25, "/e2e/": 10, "/proxy/": 3}
_PARAMETERS = re.compile(r"\[(.+)]$")


def setup_of(nodeid: str) -> str | None:
    """The database that a test runs on, as its name tells; None when it needs none."""
    found = _PARAMETERS.search(nodeid)
    words = found[1].split("-") if found else []
    return next((setup for setup in SETUPS if setup in words), None)


def share_of(nodeid: str) -> str:
    """All of a database, but for what kills servers: most of that is waiting, and goes file by file beside the rest."""
    file, setup = nodeid.partition("::")[0], setup_of(nodeid)
    if setup is None:
        return file
    return f"{setup} {file}" if "/chaos/" in file else setup


def weight_of(share: str, tests: int) -> int:
    """About how long it takes, in tests of usual length: what starts servers, or measures, takes many times as long."""
    return tests * next((weight for part, weight in _LONG.items() if part in share), 1)


def in_order(shares: Mapping[str, int]) -> list[str]:
    """Shares, given with the numbers of their tests, the largest first: databases by these, the others by their weight.

    What kills servers goes database by database, as heavy as its largest file: to go on with the same database is to
    go on with the same server.
    """
    weights = {share: weight_of(share, tests) for share, tests in shares.items()}
    heaviest: dict[str, int] = defaultdict(int)
    for share, weight in weights.items():
        heaviest[_group(share)] = max(heaviest[_group(share)], weight)
    return sorted(shares, key=lambda share: (-heaviest[_group(share)], _group(share), -weights[share]))


def _group(share: str) -> str:
    return share.partition("/chaos/")[0]


class Shares(LoadScopeScheduling):
    """Hands out shares in that order."""

    def schedule(self) -> None:
        """Hand out the first ones, and put those that wait into order."""
        super().schedule()
        for share in in_order({share: len(tests) for share, tests in self.workqueue.items()}):
            self.workqueue.move_to_end(share)

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


class Watch:
    """Sees in the process that hands out whether a share was torn: the suite would pass, and take twice as long."""

    def __init__(self) -> None:
        self._processes: dict[str, set[str]] = defaultdict(set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note who ran it."""
        if (node := getattr(report, "node", None)) is not None:
            self._processes[share_of(report.nodeid)].add(node.gateway.id)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a session that has torn one."""
        if self._torn() and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which."""
        for share in self._torn():
            terminalreporter.write_line(f"torn between processes, which fails the session: {share}")

    def _torn(self) -> list[str]:
        return sorted(share for share, processes in self._processes.items() if len(processes) > 1)
