"""Making an account of one's own, where that is allowed; and what the sign-in page says beside its form."""

import pytest
from flask import Flask

from deerflow.backend import Backend
from deerflow.settings import Settings
from tests.factories import make_app, make_user
from tests.integration.identity.browsers import PASSWORD
from tests.integration.identity.conftest import SECRET
from tests.integration.web.conftest import Person

FORM = {"name": "Bob", "email": "bob@example.com", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def person(accounts_app: Flask, settings: Settings, backend: Backend) -> Person:
    """Somebody at a server where people make accounts of their own."""
    assert accounts_app
    opened = settings.model_copy(update={"auth": "accounts", "secret": SECRET, "registration": True})
    return Person(make_app(opened, backend))


def test_an_account_is_made_and_signed_in_to(person: Person) -> None:
    assert "/console/register" in person.open("/console/login").text
    person.open("/console/register")
    assert person.send("/console/register", **FORM).headers["Location"] == "/console/"
    person.open("/console/account")
    assert "Bob" in person.told()
    assert person.open("/console/register").headers["Location"] == "/console/"


def test_an_account_is_made_whichever_of_two_tabs_is_taken(person: Person) -> None:
    person.open_in_two_tabs("/console/register")
    assert person.send("/console/register", **FORM).headers["Location"] == "/console/"


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"email": "ada"}, "email", "E-mail must be an e-mail address"),
        ({"email": "taken@example.com"}, "email", "There is an account with the e-mail taken@example.com already."),
        ({"password": "short", "again": "short"}, "password", "Password must have at least 8 characters."),
        ({"again": "another one"}, "again", "The two passwords are not the same."),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    person: Person, backend: Backend, typed: dict[str, str], field: str, told: str
) -> None:
    make_user(backend, "taken@example.com")
    person.open("/console/register")
    page = person.send("/console/register", **{**FORM, **typed})
    described = str(person.fields()[field]["aria-describedby"]).split()[-1]
    assert told in page.text.partition(f'id="{described}">')[2].partition("<")[0]
    assert person.fields()["name"]["value"] == "Bob"
    assert PASSWORD not in page.text


def test_where_it_is_switched_off_it_is_told(accounts_app: Flask) -> None:
    person = Person(accounts_app)
    assert "/console/register" not in person.open("/console/login").text
    page = person.open("/console/register")
    assert (page.status_code, page.mimetype) == (403, "text/html")
    assert "Registration is switched off here; ask an administrator for an account." in person.told()


def test_who_forgot_their_password_is_told_whom_to_ask(accounts_app: Flask) -> None:
    person = Person(accounts_app)
    person.open("/console/login")
    assert "Ask an administrator" in person.told()
    assert "users reset-password" in person.told()
