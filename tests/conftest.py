"""Fixtures: real servers for every test. The only fakes are the clock, the model and the bell."""

import gc
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome

from deerflow.backend import Backend, open_backend
from deerflow.domain.runs import Run
from deerflow.errors import Unavailable
from deerflow.events import embedded
from deerflow.events.connections import connect
from deerflow.runtime.boot import boot
from deerflow.settings import Settings
from tests.chromium import chromium
from tests.databases import Databases
from tests.live import Elsewhere, Live
from tests.shares import SETUPS, Shares, Watch, setup_of

pytest_plugins = ["tests.conformance.table", "tests.e2e.axe"]
GRAPHS = Path(__file__).parent / "graphs" / "langgraph.json"
BROWSED = "tests/e2e/"
"""What a browser shows has little to do with SQL: these tests run on SQLite alone."""
AUTH = {"sqlite": "accounts", "postgres": "none"}
"""How clients of a live server on each database say who they are, so that every test of one runs once with an API key
(``Live.headers``) and once without.
"""


def wait_for(condition: Callable[[], object], *, seconds: float = 60.0, what: str = "the condition") -> object:
    """Wait until *condition* is true and return what it returned; a test never sleeps for luck."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)
    return found


class SilentBell:
    """A bell that records its rings. ``broken``: no message gets through, as with a broker that is away."""

    def __init__(self) -> None:
        self.rings: list[Run] = []
        self.revoked: list[str] = []
        self.sweeps = 0
        self.broken = False

    def ring(self, run: Run) -> bool:
        if not self.broken:
            self.rings.append(run)
        return not self.broken

    def revoke(self, task: str) -> None:
        if not self.broken:
            self.revoked.append(task)

    def ask(self, *_question: object, **_options: object) -> None:
        if self.broken:
            raise Unavailable("The message broker does not answer")

    def sweep(self) -> None:
        self.sweeps += 1

    def waiting(self, _queue: str) -> int:
        return 0

    def ping(self) -> None:
        if self.broken:
            raise Unavailable("The message broker does not answer")

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Valkey, the one that zero-setup mode embeds."""
    folder = tmp_path_factory.mktemp("valkey")
    socket = folder / "v.sock"
    process = subprocess.Popen(embedded.command(folder, socket))
    client = connect(f"unix://{socket}")
    wait_for(lambda: socket.exists() and client.ping(), what="Valkey")
    yield f"unix://{socket}"
    client.close()
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Gives fresh, migrated databases of both kinds; Postgres is started when the first test asks for it."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.close()


@pytest.fixture(params=SETUPS)
def settings(request: pytest.FixtureRequest, databases: Databases, valkey: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of one fresh set-up: each test that uses this runs on SQLite and on Postgres."""
    client = connect(valkey)
    client.flushall()
    client.close()
    database = databases.fresh(request.param, tmp_path)
    yield Settings(
        database_url=database,
        redis_url=valkey,
        data=tmp_path,
        config=GRAPHS,
        auth="none",
        lease_seconds=3,
        lease_beat_seconds=1,
    )
    databases.give_back(database)


@pytest.fixture
def trace(tmp_path: Path) -> Iterator[Path]:
    """A file outside, where nodes leave their lines; those that are held there are let go at the end."""
    yield tmp_path / "trace"
    for held in tmp_path.glob("*.hold"):
        held.unlink()


@pytest.fixture
def bell() -> SilentBell:
    """The fake bell of this test's backend."""
    return SilentBell()


@pytest.fixture
def served(settings: Settings) -> Settings:
    """What ``backend`` is opened with: files that serve another project, or in another mode, have their own."""
    return settings


@pytest.fixture
def backend(served: Settings, bell: SilentBell) -> Iterator[Backend]:
    """A web process's Backend on real servers, with the file's bell: silent, or a state worker's."""
    opened = open_backend(served)
    opened.bell.close()
    object.__setattr__(opened, "bell", bell)
    boot(opened)
    yield opened
    opened.close()


def live_on(setup: str, databases: Databases, folder: Path, config: Path = GRAPHS, **given: Any) -> Live:
    """A live server on one of the databases, not yet started; *given*: further arguments of ``Live``."""
    url = "" if setup == "sqlite" else databases.empty_postgres()
    return Live(folder, config, **{"database_url": url, "auth": AUTH[setup], **given})


@pytest.fixture(scope="session", params=["elsewhere"] if os.environ.get("DEERFLOW_CONFORMANCE_URL") else SETUPS)
def live(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A whole server as a user starts it, on SQLite and Postgres; all tests share it and use threads of their own.

    ``DEERFLOW_CONFORMANCE_URL`` names another one instead, which serves the graphs of tests/graphs.
    """
    if url := os.environ.get("DEERFLOW_CONFORMANCE_URL"):
        yield Elsewhere(url.rstrip("/"), tmp_path_factory.mktemp("elsewhere"))
        return
    server = live_on(request.param, databases, tmp_path_factory.mktemp(f"live-{request.param}"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    """One Chromium for all tests of a process."""
    with chromium() as driver:
        yield driver


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-tour", action="store_true", help="take the pictures of docs/tour.md anew")


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run in several processes, look whether each has its share for itself."""
    if config.getoption("dist", "no") == "loadgroup":
        config.pluginmanager.register(Watch())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares | None:
    """``--dist loadgroup``: a process has a database for itself, so its server is started once."""
    return Shares(config, log) if config.getoption("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test fails the session: there, all that tests need is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and os.environ.get("CI") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped for want of what, and how many tests ran on each database; they have to be the same."""
    for reason, count in Counter(_reason(report) for report in terminalreporter.stats.get("skipped", [])).items():
        fails = ", and in CI that is a failure" if os.environ.get("CI") else ""
        terminalreporter.write_line(f"skipped {reason}: {count} test{'s' * (count > 1)}{fails}")
    counts = _per_setup(terminalreporter)
    if any(counts.values()):
        shown = ", ".join(f"{count} on {setup}" for setup, count in counts.items())
        terminalreporter.write_line(f"tests per database: {shown}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail the session when a test runs on one database only."""
    names: dict[str, set[str]] = {setup: set() for setup in SETUPS}
    for item in session.items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        setup = params.get("settings", params.get("live"))
        if setup in names and not item.nodeid.startswith(BROWSED):
            names[setup].add(item.nodeid.replace(setup, "*"))
    if session.config.getoption("keyword") or session.config.getoption("markexpr"):
        return
    lonely = names["sqlite"] ^ names["postgres"]
    if lonely and not any("[" in arg for arg in session.config.args):
        raise pytest.UsageError(f"these tests run on one database only: {sorted(lonely)}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Spare the collector what stays, thousands of tests and modules: to walk them is a fifth of many a test."""
    gc.collect()
    gc.freeze()


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, in its own words."""
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "silently"


def _per_setup(reporter: pytest.TerminalReporter) -> dict[str, int]:
    ran = [r for kind in ("passed", "failed") for r in reporter.stats.get(kind, []) if getattr(r, "when", "") == "call"]
    counted = Counter(setup_of(report.nodeid) for report in ran if not report.nodeid.startswith(BROWSED))
    return {setup: counted[setup] for setup in SETUPS}
