"""First boot: nobody gets in before set-up is finished, and its one-time link finishes it once."""

import logging
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import FIRST_ADMIN
from deerflow.errors import Unavailable
from deerflow.identity.set_up import announce
from deerflow.runtime.set_up import open_set_up
from deerflow.settings import Settings, flask_command
from deerflow.storage import audit, sessions, users
from tests.factories import at_once, make_administrator, make_app, make_key, make_user
from tests.integration.identity.browsers import AUTH, PASSWORD, Browser
from tests.integration.identity.conftest import SECRET

WHERE = f"Set-up is not finished: open the link in the server's log, or run: {flask_command()} users setup-link"


def initialize(app: Flask, token: str, *, address: str = "203.0.113.7", **changed: Any) -> TestResponse:
    """As a script does; a browser's page is tried below."""
    body = {"token": token, "email": "ada@example.com", "password": PASSWORD, **changed}
    environ = {"REMOTE_ADDR": address}
    return app.test_client().post(f"{AUTH}/initialize", json=body, environ_overrides=environ)


def status(app: Flask) -> str:
    answer = app.test_client().get(f"{AUTH}/setup-status")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.get_json()["status"])


def admins(backend: Backend) -> list[str | None]:
    with backend.db.read() as tx:
        return [user.email for user in users.page(tx, limit=100)]


def test_many_starts_open_one_set_up(backend: Backend) -> None:
    """scenario 49: one row, nobody can sign in to it, and a further start leaves it as it is."""
    opened = at_once(*[lambda: open_set_up(backend)] * 8)
    assert len(set(opened)) == 1
    assert opened[0] is not None
    assert (opened[0].user_id, opened[0].email, opened[0].password) == (FIRST_ADMIN, None, None)
    assert admins(backend) == [None]


def test_where_there_is_an_administrator_nothing_is_opened(backend: Backend, accounts_app: Flask) -> None:
    assert open_set_up(backend) is None
    assert admins(backend) == ["admin@example.com"]
    assert status(accounts_app) == "not_needed"


def test_nobody_gets_in_before(fresh_app: Flask, backend: Backend) -> None:
    """Neither without anything, nor with a key or a session; what is public stays so."""
    early = make_user(backend, "early@example.com", password=passwords.hash(PASSWORD))
    browser = Browser(fresh_app)
    browser.load()
    for answer in (
        browser.get(f"/threads/{FIRST_ADMIN}"),
        browser.post("/threads"),
        browser.post("/api/threads", x_api_key=make_key(backend, early)),
        browser.post(f"{AUTH}/login", {"email": "early@example.com", "password": PASSWORD}),
        browser.post(f"{AUTH}/register", {"email": "bob@example.com", "password": PASSWORD}),
        browser.get(f"{AUTH}/me"),
    ):
        assert (answer.status_code, answer.get_json()) == (401, {"detail": WHERE})
    assert browser.get("/ok").get_json()["ok"]
    assert browser.get("/info").status_code == 200
    assert status(fresh_app) == "needed"


def test_who_holds_the_link_becomes_the_administrator(fresh_app: Flask, token: str, backend: Backend) -> None:
    """And is signed in, in a browser too; the link is spent by it."""
    browser = Browser(fresh_app)
    browser.load()
    before = browser.cookie
    body = {"token": token, "email": " Ada@Example.com", "password": PASSWORD, "name": "Ada", "language": "zh-CN"}
    answer = browser.post(f"{AUTH}/initialize", body)
    assert answer.status_code == 201, answer.text
    told = answer.get_json()
    assert (told["user"]["email"], told["user"]["role"], told["user"]["language"]) == (
        "ada@example.com",
        "admin",
        "zh-CN",
    )
    assert "users:write" in told["permissions"]
    assert browser.cookie != before
    browser.token = told["csrf_token"]
    assert browser.post("/threads").status_code == 200
    assert status(fresh_app) == "not_needed"
    late = initialize(fresh_app, token)
    assert (late.status_code, late.get_json()["detail"]) == (
        409,
        "Set-up is finished already, so this link is spent: sign in",
    )
    with backend.db.read() as tx:
        assert [entry.action for entry in audit.page(tx, limit=9)] == ["session.begin", "setup.finish"]
        assert PASSWORD not in str(audit.page(tx, limit=9))


def test_a_session_that_cannot_begin_leaves_set_up_open(
    fresh_app: Flask, token: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All or nothing: the link is spent by who is signed in with it."""

    def away(*_: object, **__: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "begin", away)
        assert initialize(fresh_app, token).status_code == 503
    assert status(fresh_app) == "needed"
    assert admins(backend) == [None]
    assert initialize(fresh_app, token).status_code == 201


@pytest.mark.usefixtures("patient")
def test_of_a_hundred_at_once_one_wins(fresh_app: Flask, token: str, backend: Backend) -> None:
    """scenario 49: the others are told, and there is one administrator."""
    acts = [lambda n=n: initialize(fresh_app, token, email=f"user{n}@example.com") for n in range(100)]
    codes = [answer.status_code for answer in at_once(*acts)]
    assert sorted(codes) == [201] + [409] * 99
    assert admins(backend) == [f"user{codes.index(201)}@example.com"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"token": "guessed"}, (403, "This is not the set-up link of this server")),
        ({"token": ""}, (403, "This is not the set-up link of this server")),
        ({"token": None}, (422, "token")),
        ({"email": "ada"}, (422, "email: must be an e-mail address")),
        ({"password": "short"}, (422, "password: must have at least 8 characters")),
        ({"password": "password123"}, (422, "tried first")),
        ({"language": "tlh"}, (422, "language")),
        ({"name": ["x"]}, (422, "name")),
    ],
)
def test_what_cannot_be_is_said(
    fresh_app: Flask, token: str, backend: Backend, changed: dict[str, Any], told: tuple[int, str]
) -> None:
    """And set-up stays open, for the right one."""
    answer = initialize(fresh_app, **{"token": token, **changed})
    assert (answer.status_code, list(answer.get_json())) == (told[0], ["detail"])
    assert told[1] in answer.get_json()["detail"]
    assert admins(backend) == [None]
    assert initialize(fresh_app, token).status_code == 201


def test_a_link_of_another_secret_or_version_opens_nothing(fresh_app: Flask, token: str, backend: Backend) -> None:
    waiting = open_set_up(backend)
    assert waiting is not None
    with backend.db.begin() as tx:
        users.change_and_sign_out(tx, waiting.user_id)
    assert initialize(fresh_app, token).status_code == 409
    assert admins(backend) == [None]


def test_wrong_links_are_counted_and_keep_nobody_out(fresh_app: Flask, token: str) -> None:
    """scenario 48: an address that guesses has to wait; whoever holds the link does not, nor who asks the state."""
    codes = [initialize(fresh_app, "guess").status_code for _ in range(25)]
    assert codes == [403] * 20 + [429] * 5
    assert initialize(fresh_app, "guess").headers["Retry-After"]
    assert initialize(fresh_app, "guess", address="203.0.113.8").status_code == 403
    assert [status(fresh_app) for _ in range(50)] == ["needed"] * 50
    assert initialize(fresh_app, token).status_code == 201


def test_no_other_sites_page_sets_up(fresh_app: Flask, token: str, backend: Backend) -> None:
    """scenario 44"""
    browser = Browser(fresh_app)
    body = {"token": token, "email": "ada@example.com", "password": PASSWORD}
    assert browser.post(f"{AUTH}/initialize", body).status_code == 403, "without its pre-session's token"
    browser.load()
    assert browser.post(f"{AUTH}/initialize", body, Origin="https://evil.example").status_code == 403
    assert browser.post(f"{AUTH}/initialize", body, Sec_Fetch_Site="cross-site").status_code == 403
    assert admins(backend) == [None]


def test_a_database_that_is_away_is_unknown(
    fresh_app: Flask, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scenario 48: not an error, and not "not needed"."""

    def away() -> None:
        raise Unavailable("The database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(backend.db, "read", away)
        assert status(fresh_app) == "unknown"
    assert status(fresh_app) == "needed"


def test_another_process_that_finished_it_is_noticed(fresh_app: Flask, backend: Backend) -> None:
    assert status(fresh_app) == "needed"
    make_administrator(backend)
    assert status(fresh_app) == "not_needed"
    answer = fresh_app.test_client().post("/threads", json={})
    assert answer.get_json()["detail"].startswith("Sign in")


@pytest.mark.parametrize("mode", [{"auth": "none"}, {"auth": "trusted-header", "trusted_proxies": "10.0.0.1"}], ids=str)
def test_other_modes_need_no_set_up(settings: Settings, backend: Backend, mode: dict[str, str]) -> None:
    app = make_app(settings.model_copy(update={**mode, "secret": SECRET}), backend)
    assert status(app) == "not_needed"
    assert initialize(app, "any").status_code == 409


def test_each_start_logs_the_link_until_it_is_used(
    fresh_app: Flask, token: str, settings: Settings, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = settings.model_copy(update={"auth": "accounts", "secret": SECRET})
    with caplog.at_level(logging.WARNING):
        announce(fresh_app, chosen)
        announce(fresh_app, chosen)
    linked = [record.link for record in caplog.records if hasattr(record, "link")]
    begun = f"/console/setup?token={token.rsplit('.', 2)[0]}."  # the rest is when it was signed, and the signature
    assert [link.startswith(begun) for link in linked] == [True, True]
    make_administrator(backend)
    caplog.clear()
    announce(fresh_app, chosen)
    assert caplog.records == []
