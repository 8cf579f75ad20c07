"""API keys on their pages: made once, shown once, listed, revoked."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from flask import Flask

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Role, Scope
from deerflow.runtime.keys import make_key
from deerflow.settings import Settings
from deerflow.storage import keys
from tests.factories import make_app, make_user
from tests.integration.identity.conftest import SignIn
from tests.integration.web.conftest import Person

WANTED = {"name": "nightly report", "days": "30", "scope": "run"}
FOUND = re.compile(r"df_[\w-]{43}")


@pytest.fixture
def signed_in(accounts_app: Flask, ada: User, as_signed_in: SignIn) -> Person:
    """Ada at the pages."""
    return at(accounts_app, as_signed_in, ada)


def at(app: Flask, as_signed_in: SignIn, user: User) -> Person:
    """Somebody who is signed in."""
    person = Person(app)
    made = as_signed_in(user).get_cookie("deerflow_session")
    assert made is not None
    person.browser.cookie = made.value
    return person


def made_by(person: Person, **wanted: str) -> str:
    """A key that somebody makes on the page."""
    person.open("/console/keys/new")
    (key,) = set(FOUND.findall(person.send("/console/keys/new", **{**WANTED, **wanted}).text))
    return str(key)


def of(backend: Backend, user: User) -> list[keys.ApiKey]:
    with backend.db.read() as tx:
        return keys.of_user(tx, user.user_id)


def answer(app: Flask, key: str) -> int:
    return app.test_client().post("/threads/search", json={}, headers={"x-api-key": key}).status_code


def test_a_key_is_shown_once_and_opens_the_api(
    signed_in: Person, ada: User, backend: Backend, accounts_app: Flask
) -> None:
    """By itself and in examples that hold it; no other page has more of it than its beginning."""
    signed_in.open("/console/keys/new")
    page = signed_in.send("/console/keys/new", **WANTED)
    (key,) = set(FOUND.findall(page.text))
    assert page.headers["Cache-Control"] == "no-store"
    assert answer(accounts_app, key) == HTTPStatus.OK
    assert key not in signed_in.open("/console/keys").text
    used = r"(never used|used [^·]+)"  # it is noted soon, not at once
    row = rf"nightly report Valid {re.escape(key[:11])}… · Use agents · {used} · expires in 4 weeks"
    assert re.search(row, signed_in.told())
    (made,) = of(backend, ada)
    assert made.expires_at is not None
    assert timedelta(days=29.9) < made.expires_at - datetime.now(UTC) < timedelta(days=30.1)


def test_a_form_that_is_sent_again_makes_no_second_key(signed_in: Person, ada: User, backend: Backend) -> None:
    """As when the page with the key is loaded again."""
    signed_in.open("/console/keys/new")
    after = signed_in.fields()["after"]["value"]
    signed_in.send("/console/keys/new", **WANTED)
    again = signed_in.send("/console/keys/new", **WANTED, after=after, csrf_token=token_of(signed_in))
    assert again.headers["Location"] == "/console/keys"
    assert len(of(backend, ada)) == 1


def token_of(person: Person) -> str:
    person.open("/console/keys/new")
    return str(person.fields()["csrf_token"]["value"])


@pytest.mark.parametrize("scope", Scope)
def test_rights_and_expiry_are_choices(signed_in: Person, ada: User, backend: Backend, scope: Scope) -> None:
    made_by(signed_in, scope=scope.value, days="")
    (made,) = of(backend, ada)
    assert (made.scope, made.expires_at) == (scope, None)


@pytest.mark.parametrize(
    ("typed", "told"),
    [({"name": " "}, "Enter a name"), ({"name": "x" * 101}, "at most 100 characters"),
     ({"scope": "all"}, ""), ({"days": "8"}, "")],
)  # fmt: skip
def test_what_is_wrong_makes_no_key(
    signed_in: Person, ada: User, backend: Backend, typed: dict[str, str], told: str
) -> None:
    """And is told at its field; the name stays."""
    signed_in.open("/console/keys/new")
    page = signed_in.send("/console/keys/new", **{**WANTED, **typed})
    assert page.status_code == 200
    assert told in signed_in.told()
    assert signed_in.fields()["name"]["value"] == typed.get("name", WANTED["name"]).strip()
    assert of(backend, ada) == []


def test_a_revoked_key_opens_nothing_at_once(
    signed_in: Person, accounts_app: Flask, ada: User, backend: Backend
) -> None:
    """The page asks first, and the next request with the key is refused."""
    key = made_by(signed_in)
    assert answer(accounts_app, key) == HTTPStatus.OK
    (row,) = of(backend, ada)
    asked = signed_in.open("/console/keys").text
    assert f"/console/keys/{row.key_id}/revoke" in asked
    assert "are refused at once" in asked
    led = signed_in.send(f"/console/keys/{row.key_id}/revoke", of="")
    assert answer(accounts_app, key) == HTTPStatus.UNAUTHORIZED
    signed_in.open(led.headers["Location"])
    assert "The key is revoked" in signed_in.told()
    assert "nightly report Revoked" in signed_in.told()


def test_users_see_their_own_and_administrators_all(
    signed_in: Person, accounts_app: Flask, as_signed_in: SignIn, ada: User, backend: Backend
) -> None:
    """Also who asks for all."""
    bob, root = make_user(backend, "bob@example.com"), make_user(backend, "root@example.com", role=Role.ADMIN)
    made_by(signed_in, name="of ada")
    for path in ("/console/keys", "/console/keys?of=all"):
        page = at(accounts_app, as_signed_in, bob).open(path)
        assert "No API keys yet" in page.text
        assert "of ada" not in page.text
    admin = at(accounts_app, as_signed_in, root)
    assert "of ada" not in admin.open("/console/keys").text
    admin.open("/console/keys?of=all")
    assert re.search(r"of ada Valid df_\S+ · Use agents · made by ada@example.com", admin.told())
    (row,) = of(backend, ada)
    assert (
        admin.send(f"/console/keys/{row.key_id}/revoke", of="all")
        .headers["Location"]
        .startswith("/console/keys?of=all")
    )
    assert of(backend, ada)[0].revoked_at is not None


def test_nobody_revokes_anothers(
    signed_in: Person, accounts_app: Flask, as_signed_in: SignIn, ada: User, backend: Backend
) -> None:
    made_by(signed_in)
    (row,) = of(backend, ada)
    bob = at(accounts_app, as_signed_in, make_user(backend, "bob@example.com"))
    bob.open("/console/keys")
    assert bob.send(f"/console/keys/{row.key_id}/revoke").status_code == HTTPStatus.NOT_FOUND
    assert bob.send(f"/console/keys/{new_id()}/revoke").status_code == HTTPStatus.NOT_FOUND
    assert of(backend, ada)[0].revoked_at is None


def test_too_many_keys_are_told_in_words(signed_in: Person, ada: User, backend: Backend) -> None:
    """With how long to wait."""
    for number in range(30):
        made_by(signed_in, name=f"key {number}")
    signed_in.open("/console/keys/new")
    page = signed_in.send("/console/keys/new", **WANTED)
    assert page.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert "Too many API keys were made within an hour. Try again in 60 minutes." in signed_in.told()
    signed_in.open("/console/keys")
    assert "1–25 of 30" in signed_in.told()  # noqa: RUF001 - as it is written
    signed_in.open("/console/keys?page=2")
    assert "26–30 of 30" in signed_in.told()  # noqa: RUF001 - as it is written
    assert len(of(backend, ada)) == 30


def test_an_expired_key_says_so(signed_in: Person, ada: User, backend: Backend) -> None:
    gone = datetime.now(UTC) - timedelta(days=3)
    with backend.db.begin() as tx:
        make_key(tx, ada.user_id, name="old", scope=Scope.RUN, expires_at=gone, actor=None)
    signed_in.open("/console/keys")
    assert "· never used · expired 3 days ago" in signed_in.told()
    assert "/revoke" not in signed_in.page.text


def test_the_examples_work_where_the_server_is(signed_in: Person, accounts_app: Flask) -> None:
    """curl's is sent as it stands; all name the address that the browser has asked."""
    key = made_by(signed_in)
    signed_in.open("/console/keys/new")
    page = signed_in.send("/console/keys/new", **WANTED)
    curl, python, react = re.findall(r'data-copy="((?:curl|from|import)[^"]*)"', page.text)
    key = FOUND.findall(page.text)[0]
    _, _, url, _, named, _, kind, _, body = shlex.split(plain(curl).replace("\\\n", " "))
    assert url == "http://deerflow.example/runs/stream"
    headers = dict(header.split(": ") for header in (named, kind))
    assert headers["x-api-key"] == key
    sent = accounts_app.test_client().post("/runs/stream", data=body, headers=headers, buffered=False)
    assert sent.status_code == HTTPStatus.OK
    sent.close()
    for example in (python, react):
        assert "http://deerflow.example" in plain(example)
        assert key in plain(example)
    compile(plain(python), "example", "exec")


def plain(attribute: str) -> str:
    for written, char in (("&#34;", '"'), ("&#39;", "'"), ("&gt;", ">"), ("&lt;", "<"), ("&amp;", "&")):
        attribute = attribute.replace(written, char)
    return attribute


def test_without_accounts_there_are_no_keys(settings: Settings, backend: Backend) -> None:
    """Told, not failed."""
    client = make_app(settings, backend).test_client()
    page = client.get("/console/keys")
    assert (page.status_code, page.mimetype) == (HTTPStatus.CONFLICT, "text/html")
    assert "<h1>Not possible</h1>" in page.text, "nothing is wrong"
    assert "Accounts are switched off" in page.text
