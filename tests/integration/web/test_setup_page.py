"""The set-up page: for who holds the one-time link, once."""

import re

import pytest
from flask import Flask

from deerflow.backend import Backend
from deerflow.settings import flask_command
from deerflow.storage import users
from tests.factories import make_administrator
from tests.integration.identity.browsers import PASSWORD
from tests.integration.web.conftest import Person

FORM = {"email": "ada@example.com", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def person(fresh_app: Flask) -> Person:
    """Somebody at a server that is not set up yet."""
    return Person(fresh_app)


@pytest.mark.parametrize("path", ["/console/", "/console/login", "/console/login?next=/console/x"])
def test_every_page_leads_to_set_up(person: Person, path: str) -> None:
    """And that one, without the link, only says where it is."""
    assert person.open(path).headers["Location"] == "/console/setup"
    assert person.open("/console/setup").status_code == 200
    assert f" {flask_command()} users setup-link" in person.told()
    assert set(person.fields()) == {"back", "csrf_token"}, "but for the choice of a language"


def test_the_link_sets_up_and_signs_in(person: Person, token: str) -> None:
    person.open(f"/console/setup?token={token}")
    assert {"email", "password", "again", "csrf_token", "token"} <= set(person.fields())
    assert person.send("/console/setup", **FORM).headers["Location"] == "/console/"
    assert person.open("/console/threads").status_code == 200
    assert "Start here" in person.told()
    assert person.open(f"/console/setup?token={token}").status_code == 409
    assert "this link is spent" in person.told()
    assert person.open("/console/setup").headers["Location"] == "/console/login"


def test_the_link_sets_up_in_whichever_of_two_tabs_is_taken(person: Person, token: str) -> None:
    person.open_in_two_tabs(f"/console/setup?token={token}")
    assert person.send("/console/setup", **FORM).headers["Location"] == "/console/"


@pytest.mark.parametrize(("likes", "language"), [("zh-CN", "zh-CN"), ("de", "en-US")])
def test_the_language_is_asked_and_stays_the_users(
    person: Person, token: str, backend: Backend, likes: str, language: str
) -> None:
    """Offered is the one of the page; another may be chosen."""
    page = person.open(f"/console/setup?token={token}", **{"Accept-Language": likes})
    assert f'<option selected value="{language}">' in page.text
    other = {"zh-CN": "en-US", "en-US": "zh-CN"}[language]
    person.send("/console/setup", **FORM, language=other)
    with backend.db.read() as tx:
        assert [user.language for user in users.page(tx, limit=9)] == [other]
    assert f'<html lang="{other}"' in person.open("/console/threads", **{"Accept-Language": likes}).text


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"email": ""}, "email", "Enter your e-mail address."),
        ({"email": "ada"}, "email", "must be an e-mail address"),
        ({"password": "short", "again": "short"}, "password", "must have at least 8 characters"),
        ({"password": "password1", "again": "password1"}, "password", "tried first"),
        ({"again": "another one"}, "again", "The two passwords are not the same."),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    person: Person, token: str, typed: dict[str, str], field: str, told: str
) -> None:
    """Nothing that was typed is lost but passwords, which no page repeats; and it can be tried again."""
    person.open(f"/console/setup?token={token}")
    page = person.send("/console/setup", **{**FORM, **typed})
    shown = person.fields()
    described = str(shown[field]["aria-describedby"]).split()[-1]
    beside = re.search(rf'id="{described}">([^<]*)<', page.text)
    assert beside is not None
    assert told in beside[1]
    assert shown["email"]["value"] == typed.get("email", FORM["email"])
    assert PASSWORD not in page.text
    assert person.send("/console/setup", **FORM).status_code == 303


def test_a_wrong_link_says_where_the_right_one_is(person: Person) -> None:
    assert person.open("/console/setup?token=guess").status_code == 403
    assert "This is not the set-up link of this server" in person.told()
    assert "password" not in person.fields()


def test_who_comes_second_is_told(person: Person, token: str, backend: Backend) -> None:
    """scenario 49"""
    person.open(f"/console/setup?token={token}")
    make_administrator(backend, "bob@example.com")
    assert person.send("/console/setup", **FORM).status_code == 409
    assert "Set-up is finished already" in person.told()
    with backend.db.read() as tx:
        assert [user.email for user in users.page(tx, limit=9)] == ["bob@example.com"]


def test_the_form_alone_is_not_enough(person: Person, token: str, backend: Backend) -> None:
    """scenario 44: without the page's own token, or from elsewhere."""
    client = person.browser.client
    assert client.post("/console/setup", data={"token": token, **FORM}).status_code == 200
    person.open(f"/console/setup?token={token}")
    csrf = person.fields()["csrf_token"]["value"]
    body = {"token": token, "csrf_token": csrf, **FORM}
    elsewhere = {"Origin": "https://evil.example"}
    assert client.post("/console/setup", data=body, base_url=person.browser.base, headers=elsewhere).status_code == 403
    with backend.db.read() as tx:
        assert users.find_unfinished(tx) is not None
