"""The commands as an operator calls them, on the test's database."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from deerflow.cli.__main__ import main
from deerflow.settings import Settings

Call = Callable[..., Result]


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls a command in this set-up; ``stdin`` is what is piped into it."""
    monkeypatch.setenv("DEERFLOW_DATA", str(settings.data))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("DEERFLOW_AUTH", "accounts")
    monkeypatch.setenv("DEERFLOW_SECRET", "a-secret-that-only-these-tests-know-and-nobody-else")

    def call(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, words, input=stdin)

    return call
