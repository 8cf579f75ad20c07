"""``flask users setup-link``: the way in for who does not have the log."""

import pytest
from flask import Flask

from deerflow.backend import Backend
from deerflow.settings import Settings
from deerflow.storage import users
from tests.integration.cli.conftest import Call
from tests.integration.identity.browsers import AUTH, PASSWORD
from tests.integration.identity.conftest import fresh_app

__all__ = ["fresh_app"]


def test_the_printed_link_sets_up_once(command: Call, fresh_app: Flask) -> None:
    """On standard output the link alone; once it was used there is none."""
    told = command("users", "setup-link")
    assert told.exit_code == 0, told.output
    link = told.stdout.strip()
    assert link.startswith("http://127.0.0.1:8123/console/setup?token=")
    body = {"token": link.partition("token=")[2], "email": "ada@example.com", "password": PASSWORD}
    assert fresh_app.test_client().post(f"{AUTH}/initialize", json=body).status_code == 201
    again = command("users", "setup-link")
    assert again.exit_code == 1
    assert "Set-up is finished already" in again.stderr
    assert again.stdout == ""


def test_it_opens_set_up_where_no_start_has(command: Call, backend: Backend) -> None:  # noqa: ARG001 - has the schema
    assert command("users", "setup-link").exit_code == 0
    assert command("users", "create", "ada@example.com", "--admin", "--password-stdin", stdin=PASSWORD).exit_code == 0
    assert command("users", "setup-link").exit_code == 1


@pytest.mark.parametrize("mode", ["none", "trusted-header"])
def test_where_nobody_is_set_up_there_is_none(
    command: Call, backend: Backend, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """And no row is left that waits for somebody."""
    monkeypatch.setenv("DEERFLOW_AUTH", mode)
    told = command("users", "setup-link")
    assert (told.exit_code, told.stdout) == (1, "")
    assert f"this is {mode}" in told.stderr
    with backend.db.read() as tx:
        assert users.page(tx, limit=1) == []


def test_without_a_secret_nothing_is_begun(
    command: Call, backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link could not be signed as the server would."""
    monkeypatch.delenv("DEERFLOW_SECRET")
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    told = command("users", "setup-link")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "the server needs DEERFLOW_SECRET" in told.stderr
    with backend.db.read() as tx:
        assert users.page(tx, limit=1) == []
