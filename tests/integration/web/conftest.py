"""The pages as a person at a browser sees them."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask, session
from werkzeug.test import TestResponse

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Principal
from deerflow.identity import sessions
from tests.factories import make_user
from tests.integration.identity.browsers import HOST, PASSWORD, Browser
from tests.integration.identity.conftest import accounts_app, as_signed_in, fresh_app, token
from tests.integration.identity.stranger import principal_for

__all__ = ["accounts_app", "as_signed_in", "fresh_app", "token"]


class Fields(HTMLParser):
    """The inputs of a page, by name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name"):
            self.found[str(given["name"])] = given


class Person:
    """Somebody who opens pages and fills in their forms."""

    def __init__(self, app: Flask) -> None:
        self.browser = Browser(app)
        self.page: TestResponse

    def open(self, path: str, **headers: str) -> TestResponse:
        """Go to a page; where it leads to is in ``Location``."""
        self.page = self.browser.client.get(
            path, base_url=self.browser.base, headers={"Accept": "text/html", **headers}
        )
        return self.page

    def fields(self) -> dict[str, dict[str, str | None]]:
        return Fields(self.page.text).found

    def send(self, path: str, **typed: Any) -> TestResponse:
        """Send the form of the page that is open, with what was typed."""
        hidden = {name: field.get("value") or "" for name, field in self.fields().items() if field["type"] == "hidden"}
        self.page = self.browser.client.post(
            path,
            data=hidden | typed,
            base_url=self.browser.base,
            headers={"Origin": self.browser.base, "Sec-Fetch-Site": "same-origin"},
            environ_overrides={"REMOTE_ADDR": self.browser.address},
        )
        return self.page

    def open_in_two_tabs(self, path: str) -> None:
        """Be at the first of two, both opened before the browser had a pre-session; it has the second's now."""
        page = self.open(path)
        self.browser.client.delete_cookie(sessions.COOKIE, domain=HOST)
        self.open(path)
        self.page = page

    def told(self) -> str:
        """What the page says, without its tags."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.page.text))

    def sign_in(self, user: User) -> "Person":
        """Be signed in as this user, without the work that a password makes."""
        app = self.browser.client.application
        with app.test_request_context():
            with app.extensions["deerflow"].db.begin() as tx:
                sessions.sign_in(tx, user, remember=False)
            sessions.csrf_token()
            kept = app.response_class()
            app.session_interface.save_session(app, session, kept)
        cookie = kept.headers["Set-Cookie"].split(";")[0].partition("=")[2]
        self.browser.client.set_cookie(sessions.COOKIE, cookie, domain=HOST)
        return self


@pytest.fixture
def person(accounts_app: Flask) -> Person:
    """Somebody at a server that is set up."""
    return Person(accounts_app)


@pytest.fixture
def ada(backend: Backend) -> User:
    """A user with a password."""
    return make_user(backend, "ada@example.com", password=passwords.hash(PASSWORD))


@pytest.fixture
def caller(ada: User) -> Principal:
    """Ada, as storage knows her."""
    return principal_for(ada)


@pytest.fixture
def reader(person: Person, ada: User) -> Person:
    """Ada at her browser."""
    return person.sign_in(ada)
