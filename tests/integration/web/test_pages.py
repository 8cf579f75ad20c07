"""Signing in, the first page, and what all pages have in common."""

import gzip
import re
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import TimestampSigner

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.settings import Settings
from deerflow.storage import users
from tests.factories import make_app, make_thread
from tests.integration.identity.browsers import HOST, PASSWORD
from tests.integration.identity.stranger import principal_for
from tests.integration.web.conftest import Person

pytestmark = pytest.mark.usefixtures("ada")

TYPED = {"email": "ada@example.com", "password": PASSWORD}


@pytest.fixture
def signed_in(person: Person) -> Person:
    person.open("/console/login")
    assert person.send("/console/login", **TYPED).headers["Location"] == "/console/"
    return person


def test_strangers_are_led_to_sign_in_and_back(person: Person) -> None:
    place = person.open("/console/?x=1").headers["Location"]
    assert place == "/console/login?next=%2Fconsole%2F%3Fx%3D1"
    person.open(place)
    assert person.send("/console/login", **TYPED).headers["Location"] == "/console/?x=1"
    assert person.open(place).headers["Location"] == "/console/?x=1", "who is signed in need not do so again"


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example", "/\\evil.example", "/console/\\x",
                                   "javascript:alert(1)", "/threads", "/console/%0a\nx", ""])  # fmt: skip
def test_a_foreign_next_is_ignored(person: Person, place: str) -> None:
    person.open("/console/login")
    assert person.send("/console/login", next=place, **TYPED).headers["Location"] == "/console/"


@pytest.mark.parametrize("typed", [{"password": "another one"}, {"email": "nobody@example.com"}])
def test_wrong_e_mail_and_wrong_password_read_the_same(
    person: Person,
    typed: dict[str, str],
) -> None:
    person.open("/console/login")
    person.send("/console/login", **{**TYPED, **typed})
    assert "Wrong e-mail or password" in person.told()
    assert person.fields()["email"]["value"] == {**TYPED, **typed}["email"]


def test_too_many_tries_have_to_wait(person: Person) -> None:
    person.open("/console/login")
    for _ in range(5):
        assert person.send("/console/login", email="ada@example.com", password="another one").status_code == 200
    page = person.send("/console/login", **TYPED)
    assert page.status_code == 429
    assert int(page.headers["Retry-After"]) > 0
    assert "Too many failed sign-ins" in person.told()


@pytest.mark.parametrize("said", [{"Origin": "own"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}])
def test_tabs_that_open_together_can_all_sign_in(person: Person, said: dict[str, str]) -> None:
    """Each has a token, and the browser keeps one pre-session: what it says of the page counts as much, if it does."""
    base = person.browser.base
    person.open_in_two_tabs("/console/login")
    form = TYPED | {"csrf_token": str(person.fields()["csrf_token"]["value"])}
    headers = {name: base if word == "own" else word for name, word in said.items()}
    answer = person.browser.client.post("/console/login", data=form, base_url=base, headers=headers)
    is_said = set(said.values()) & {"own", "same-origin"}
    assert (answer.status_code, "open for too long" in answer.text) == ((303, False) if is_said else (200, True))


@pytest.mark.parametrize("field", ["email", "password"])
def test_no_form_keeps_the_process_busy(person: Person, field: str) -> None:
    """Fields of a form have no length of their own."""
    person.open("/console/login")
    before = time.thread_time()
    sent = {"email": "ada@example.com", "password": "x", field: "a" + "\u0301\u0316" * 10_000}
    assert person.send("/console/login", **sent).status_code == 200
    assert time.thread_time() - before < 0.5


def test_staying_signed_in_is_a_choice(person: Person) -> None:
    person.open("/console/login")
    forgotten = person.send("/console/login", **TYPED).headers["Set-Cookie"]
    person.open("/console/threads")
    person.send("/console/logout")
    person.open("/console/login")
    kept = person.send("/console/login", remember="y", **TYPED).headers["Set-Cookie"]
    assert "Expires=" not in forgotten
    assert "Expires=" in kept


def test_signing_out_ends_the_session(signed_in: Person) -> None:
    """scenario 51: on the server; a copy of the cookie opens nothing."""
    signed_in.open("/console/threads")
    copy = signed_in.browser.cookie
    assert signed_in.send("/console/logout").headers["Location"] == "/console/login"
    signed_in.browser.client.set_cookie("deerflow_session", copy, domain="deerflow.example")
    assert signed_in.open("/console/").headers["Location"] == "/console/login"


@pytest.mark.parametrize("path", ["/console/keys/new", "/console/threads/delete", "/console/logout"])
def test_a_button_of_another_site_does_nothing(signed_in: Person, path: str) -> None:
    assert signed_in.browser.client.post(path, base_url=signed_in.browser.base).status_code == 403
    assert signed_in.open("/console/threads").status_code == 200


@pytest.mark.parametrize(
    "path", ["/console/", "/console/threads", "/console/login", "/console/setup", "/console/nowhere", "/console/look"]
)
def test_every_page_says_what_browsers_may_do(person: Person, path: str) -> None:
    answer = person.open(path)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy == {
        **dict.fromkeys(("default-src", "base-uri", "frame-ancestors"), "'none'"),
        **dict.fromkeys(("script-src", "style-src", "connect-src", "form-action"), "'self'"),
        "img-src": "'self' data:",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"


def test_over_https_browsers_are_told_to_stay_there(accounts_app: Flask) -> None:
    said = {
        scheme: accounts_app.test_client().get("/console/login", base_url=f"{scheme}://{HOST}").headers
        for scheme in ("http", "https")
    }
    assert said["https"]["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in said["http"]


def test_pages_keep_to_their_policy(signed_in: Person) -> None:
    """No script and no style within the page, nothing from elsewhere."""
    for path in ("/console/threads", "/console/nowhere"):
        html = signed_in.open(path).text
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html)
        assert not [link for link in re.findall(r'(?:src|href|action)="([^"]*)"', html) if ":" in link]


def test_static_files_are_kept_as_long_as_they_are_the_same(signed_in: Person) -> None:
    """A page names them by what they are; under another name browsers ask each time."""
    (named,) = re.findall(r'href="([^"]+console\.css)"', signed_in.open("/console/threads").text)
    style = signed_in.open(named)
    assert style.mimetype == "text/css"
    assert "immutable" in style.headers["Cache-Control"]
    old = signed_in.open("/console/static/an-older-one/console.css")
    assert (old.status_code, old.headers["Cache-Control"]) == (200, "no-cache")
    again = signed_in.open("/console/static/an-older-one/console.css", **{"If-None-Match": str(old.headers["ETag"])})
    assert again.status_code == 304


def test_a_page_that_is_still_the_same_is_not_sent_again(
    signed_in: Person, backend: Backend, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each has another token in its forms."""
    first = signed_in.open("/console/threads")
    version = str(first.headers["ETag"])
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: int(time.time()) + 5)
    again = signed_in.open("/console/threads", **{"If-None-Match": version})
    assert (again.status_code, again.get_data(), again.headers["ETag"]) == (304, b"", version)
    assert signed_in.open("/console/threads").text != first.text
    make_thread(backend, principal_for(ada), title="Something new")
    new = signed_in.open("/console/threads", **{"If-None-Match": version})
    assert (new.status_code, "Something new" in new.text) == (200, True)
    assert signed_in.open("/console/nowhere", **{"If-None-Match": "*"}).status_code == 404


def test_a_page_of_another_session_is_sent_again(signed_in: Person, ada: User) -> None:
    """Who has signed in anew in another tab: the forms of this one want a token that is good now."""
    version = str(signed_in.open("/console/threads").headers["ETag"])
    assert signed_in.open("/console/threads", **{"If-None-Match": version}).status_code == 304
    signed_in.sign_in(ada)
    assert signed_in.open("/console/threads", **{"If-None-Match": version}).status_code == 200


def test_pages_come_packed_when_nobody_else_has_made_the_browser_ask(signed_in: Person) -> None:
    page, gzipped = signed_in.open("/console/threads"), {"Accept-Encoding": "gzip, br"}
    packed = signed_in.open("/console/threads", **gzipped, **{"Sec-Fetch-Site": "same-origin"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert gzip.decompress(packed.get_data()).decode().count("<") == page.text.count("<")
    assert packed.headers["ETag"] == page.headers["ETag"]
    for site in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}):
        assert "Content-Encoding" not in signed_in.open("/console/threads", **gzipped, **site).headers
    assert "Content-Encoding" not in signed_in.open("/console/threads", **{"Sec-Fetch-Site": "same-origin"}).headers


@pytest.mark.parametrize("name", ["nothing.css", "../forms.py", "..%2fforms.py", "", ".", "a" * 300, "%00"])
def test_only_static_files_are_static(person: Person, name: str) -> None:
    assert person.open(f"/console/static/x/{name}").status_code == 404


def test_errors_are_pages_here_and_json_elsewhere(signed_in: Person) -> None:
    page = signed_in.open("/console/nowhere")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "Not found" in page.text
    assert signed_in.open("/nowhere").get_json() == {"detail": "Not Found"}


@pytest.mark.parametrize(("path", "status"), [("nowhere", 404), ("threads/nowhere", 422), ("logout", 405)])
def test_where_no_page_is_whoever_is_signed_in_finds_the_way(
    signed_in: Person, backend: Backend, ada: User, path: str, status: int
) -> None:
    """As on every page; a stranger, and whoever's session has ended, is shown none."""
    way = 'href="/console/runs"'
    page = signed_in.open(f"/console/{path}")
    assert (page.status_code, way in page.text) == (status, True)
    assert page.headers["Cache-Control"] == "no-store"
    strange = Person(signed_in.browser.client.application).open(f"/console/{path}")
    assert (strange.status_code, way in strange.text) == (status, False)
    with backend.db.begin() as tx:
        users.change_and_sign_out(tx, ada.user_id)
    assert way not in signed_in.open(f"/console/{path}").text


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html,application/xhtml+xml,*/*;q=0.8", 302), ("*/*", 200), ("application/json", 200), ("", 200)],
)
def test_the_root_leads_people_to_the_pages(accounts_app: Flask, accept: str, status: int) -> None:
    """And programs go on to hear that the server is there."""
    answer = accounts_app.test_client().get("/", headers={"Accept": accept} if accept else {})
    assert answer.status_code == status
    if status == 302:
        assert answer.headers["Location"] == "/console/"
    else:
        assert answer.get_json()["ok"]
    assert accounts_app.test_client().get("/api/", headers={"Accept": accept}).status_code == 200


def test_short_paths_lead_to_pages(accounts_app: Flask) -> None:
    client = accounts_app.test_client()
    assert client.get("/login").headers["Location"] == "/console/login"
    assert client.get("/setup?token=a.b").headers["Location"] == "/console/setup?token=a.b"
    assert client.get("/console").status_code in {301, 308}


def test_without_accounts_the_first_page_is_open(settings: Settings, backend: Backend) -> None:
    """There is nothing to sign in to and no key to be made."""
    app = make_app(settings, backend)
    client: FlaskClient = app.test_client()
    page = client.get("/console/threads")
    assert page.status_code == 200
    assert "Sign out" not in page.text
    assert "api_key" not in page.text
    for path in ("/console/login", "/console/setup"):
        assert client.get(path, follow_redirects=True).request.path == "/console/threads"


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/console", "/console/"),
        ("/console?x=http://a/b", "/console/?x=http://a/b"),
        ("/console//login", "/console/login"),
        ("/x//console", None),
    ],
)
def test_a_tidier_path_is_told_as_a_path(accounts_app: Flask, path: str, leads: str | None) -> None:
    """Whatever host and scheme the request names."""
    answer = accounts_app.test_client().get(path, headers={"Host": "evil.example"})
    assert answer.headers.get("Location") == leads
    assert "evil.example" not in answer.text
