"""People sign in, look after their account, and sign out."""

import pytest
from flask import Flask

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from tests.factories import make_user
from tests.integration.identity.browsers import AUTH, PASSWORD, Browser


@pytest.fixture
def ada(backend: Backend) -> User:
    """A user with a password."""
    return make_user(backend, "ada@example.com", password=passwords.hash(PASSWORD))


@pytest.fixture
def browser(accounts_app: Flask) -> Browser:
    """A browser that nobody has signed in with."""
    return Browser(accounts_app)


def test_who_signs_in_owns_what_they_make(browser: Browser, ada: User) -> None:
    assert browser.post("/threads").status_code == 401
    answer = browser.login("  ADA@Example.com ")
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["user"]["user_id"] == ada.owner
    assert browser.post("/threads").status_code == 200
    assert browser.get(f"{AUTH}/me").get_json()["user"]["email"] == "ada@example.com"
