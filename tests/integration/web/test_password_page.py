"""The page of a one-time link that sets a password."""

import pytest
from flask import Flask

from deerflow.auth import links
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.runtime.users import By, reset_link
from deerflow.storage import users
from tests.factories import make_user
from tests.integration.identity.conftest import SECRET
from tests.integration.web.conftest import Person

NEW = "violet tram under marble"
SIGN_IN = "/console/login?done=password"


@pytest.fixture
def invited(backend: Backend, accounts_app: Flask) -> User:
    """Somebody who has no password yet."""
    assert accounts_app
    return make_user(backend, "bob@example.com")


@pytest.fixture
def link(backend: Backend, invited: User) -> str:
    """Their one-time link."""
    with backend.db.begin() as tx:
        return links.reset_path([SECRET], reset_link(tx, invited, By(address=None)))


@pytest.fixture
def person(accounts_app: Flask) -> Person:
    """Somebody who is not signed in."""
    return Person(accounts_app)


def test_the_link_is_good_in_whichever_of_two_tabs_is_taken(person: Person, link: str) -> None:
    person.open_in_two_tabs(link)
    assert person.send("/console/password", password=NEW, again=NEW).headers["Location"] == SIGN_IN


def test_the_link_sets_a_password_once(person: Person, link: str) -> None:
    person.open(link)
    assert person.send("/console/password", password=NEW, again=NEW).headers["Location"] == SIGN_IN
    person.open(SIGN_IN)
    assert "Your password is set. Sign in with it." in person.told()
    assert person.send("/console/login", email="bob@example.com", password=NEW).headers["Location"] == "/console/"
    person.open(link)
    assert (
        person.send("/console/password", password="another one of mine", again="another one of mine").status_code == 403
    )
    assert "has been used" in person.told()


@pytest.mark.parametrize(
    ("password", "again", "told"),
    [
        ("short", "short", "must have at least 8 characters"),
        ("password1", "password1", "tried first"),
        (NEW, "another", "The two passwords are not the same."),
        ("", "", "Choose a password."),
    ],
)
def test_what_is_wrong_is_told_and_the_link_stays_good(
    person: Person, link: str, password: str, again: str, told: str
) -> None:
    person.open(link)
    person.send("/console/password", password=password, again=again)
    assert told in person.page.text
    assert person.send("/console/password", password=NEW, again=NEW).headers["Location"] == SIGN_IN


def test_the_page_says_whose_password_it_sets(person: Person, backend: Backend, invited: User, link: str) -> None:
    """Also to password managers. Somebody who is new is signed in nowhere else."""
    assert "Wherever else" not in person.open(link).text
    person.send("/console/password", password="short", again="short", email="eve@example.com")
    named = next(tag for tag in person.page.text.split("<input") if 'name="email"' in tag)
    assert all(each in named for each in ("readonly", 'autocomplete="username"', 'value="bob@example.com"')), named
    person.send("/console/password", password=NEW, again=NEW)
    assert "bob@example.com" not in person.open(link).text, "the link is spent"
    with backend.db.begin() as tx:
        other = links.reset_path([SECRET], reset_link(tx, users.get(tx, invited.user_id), By(address=None)))
    assert "bob@example.com" in person.open(other).text
    assert "Wherever else you are signed in, that ends now." in person.page.text


@pytest.mark.parametrize("token", ["x", "", "W10.x.y"])
def test_a_wrong_link_sets_nothing(person: Person, token: str) -> None:
    person.open(f"/console/password?token={token}")
    assert person.send("/console/password", password=NEW, again=NEW).status_code == 403


def test_without_a_link_there_is_nothing(person: Person) -> None:
    assert person.open("/console/password").headers["Location"] == "/console/"
