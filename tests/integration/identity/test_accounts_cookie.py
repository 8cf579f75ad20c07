"""The cookie of a session, and the token against forged requests: what they are good for, and for how long."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import itsdangerous
import pytest
import sqlalchemy as sa
from flask import Flask

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.errors import Unavailable
from deerflow.identity import sessions as cookie
from deerflow.settings import Settings
from deerflow.storage import models, sessions, users
from deerflow.storage.database import Tx
from tests.conftest import wait_for
from tests.factories import make_app
from tests.integration.identity.browsers import AUTH, HOST, PASSWORD, Browser
from tests.integration.identity.conftest import SECRET, until_noted

HOURS = 3600.0


def age(backend: Backend, *, hours: float) -> None:
    """Let all sessions have been seen last so long ago."""
    seen = models.sessions.c.last_seen_at
    with backend.db.begin() as tx:
        then = datetime.now(UTC) - timedelta(hours=hours)
        tx.execute(sa.update(models.sessions).where(seen > then).values(last_seen_at=then, created_at=then))


def attributes(browser: Browser, *, remember: bool = False) -> dict[str, str]:
    """What a sign-in's Set-Cookie says."""
    browser.load()
    body = {"email": "ada@example.com", "password": PASSWORD, "remember": remember}
    answer = browser.post(f"{AUTH}/login", body)
    (line,) = answer.headers.getlist("Set-Cookie")
    pairs = [part.strip().partition("=") for part in line.split(";")[1:]]
    return {name.lower(): value for name, _, value in pairs}


def test_the_cookie_is_for_this_server_alone(browser: Browser, ada: User) -> None:
    assert ada.email
    assert attributes(browser) == {"httponly": "", "path": "/", "samesite": "Lax"}


def test_the_cookie_is_secure_where_the_request_is(accounts_app: Flask, ada: User) -> None:
    assert ada.email
    assert "secure" in attributes(Browser(accounts_app, base=f"https://{HOST}"))


def test_who_wants_stays_signed_in(browser: Browser, backend: Backend, ada: User) -> None:
    """For 30 days from the last request: the row and the cookie's end move on together."""
    assert ada.email
    expires = attributes(browser, remember=True)["expires"]
    until = datetime.strptime(expires, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(days=29.9) < until <= timedelta(days=30)
    assert "Set-Cookie" not in browser.get(f"{AUTH}/me").headers
    age(backend, hours=25)
    assert "Expires=" in browser.get(f"{AUTH}/me").headers["Set-Cookie"]
    wait_for(lambda: "Set-Cookie" not in browser.get(f"{AUTH}/me").headers, what="the use to be noted")


def test_a_sign_in_renews_session_and_token(accounts_app: Flask, ada: User) -> None:
    """scenario 44: what an attacker has planted before is worth nothing afterwards."""
    attacker, victim = Browser(accounts_app, address="192.0.2.66"), Browser(accounts_app)
    attacker.load()
    planted, token = attacker.cookie, attacker.token
    victim.cookie, victim.token = planted, token
    assert victim.send(f"{AUTH}/login", {"email": ada.email, "password": PASSWORD}).status_code == 200
    assert victim.cookie != planted
    assert not attacker.is_signed_in()
    attacker.cookie = victim.cookie  # even so, the old token is not the session's
    assert attacker.post("/threads").status_code == 403
    assert victim.post("/threads").status_code == 200


def test_a_page_that_signs_in_goes_on_with_the_new_token(accounts_app: Flask, backend: Backend, ada: User) -> None:
    """Also where the old one was asked for in the same request, as forms do."""
    with accounts_app.test_request_context(), backend.db.begin() as tx:
        old = cookie.csrf_token()
        cookie.sign_in(tx, ada, remember=False)
        assert cookie.csrf_token() != old


def test_a_sign_in_ends_the_session_before_it(signed_in: Browser, backend: Backend, ada: User) -> None:
    before = signed_in.cookie
    assert signed_in.login("ada@example.com").status_code == 200
    with backend.db.read() as tx:
        assert len(sessions.of_user(tx, ada.user_id)) == 1
    signed_in.cookie = before
    assert not signed_in.is_signed_in()


def of(browser: Browser) -> Backend:
    opened: Backend = browser.client.application.extensions["deerflow"]
    return opened


def log_out(browser: Browser, _elsewhere: Browser) -> None:
    assert browser.post(f"{AUTH}/logout").status_code == 204


def end_from_elsewhere(_browser: Browser, elsewhere: Browser) -> None:
    elsewhere.open("DELETE", f"{AUTH}/sessions")


def disable(browser: Browser, _elsewhere: Browser) -> None:
    with of(browser).db.begin() as tx:
        ada = users.find_by_email(tx, "ada@example.com")
        assert ada is not None
        users.change_and_sign_out(tx, ada.user_id, disabled_at=datetime.now(UTC))


def raise_version(browser: Browser, _elsewhere: Browser) -> None:
    with of(browser).db.begin() as tx:  # the rows of sessions stay: the version alone has to do
        tx.execute(sa.update(models.users).values(token_version=models.users.c.token_version + 1))


def expire(browser: Browser, _elsewhere: Browser) -> None:
    with of(browser).db.begin() as tx:
        tx.execute(sa.update(models.sessions).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))


@pytest.mark.parametrize("act", [log_out, end_from_elsewhere, disable, raise_version, expire])
def test_the_old_cookie_is_refused_at_once(
    signed_in: Browser, elsewhere: Browser, second_app: Flask, act: Callable[[Browser, Browser], None]
) -> None:
    """scenario 51: by each process, however it is sent again."""
    replayed, token = signed_in.cookie, signed_in.token
    other = Browser(second_app)
    other.cookie, other.token = replayed, token
    assert other.post("/threads").status_code == 200
    act(signed_in, elsewhere)
    signed_in.cookie, signed_in.token = replayed, token
    assert [each.post("/threads").status_code for each in (signed_in, other)] == [401, 401]


@pytest.mark.parametrize("hours", [1, -25, -24 * 29])
def test_other_clocks_do_not_matter(
    browser: Browser, backend: Backend, ada: User, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    """A cookie of a machine whose clock is ahead, or of a page left open for a day, is as good as its row."""
    with monkeypatch.context() as patch:
        then = time.time() + hours * HOURS
        patch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda _signer: int(then))
        assert browser.login(ada.email or "").status_code == 200
    age(backend, hours=max(0.0, -hours))
    assert browser.post("/threads").status_code == 200


def test_a_session_lasts_from_its_last_request(browser: Browser, backend: Backend, ada: User) -> None:
    """It is noted once a minute at most, with the address."""
    assert browser.login(ada.email or "", remember=True).status_code == 200
    with backend.db.begin() as tx:
        soon = datetime.now(UTC) + timedelta(seconds=60)
        tx.execute(sa.update(models.sessions).values(expires_at=soon))
    browser.address = "203.0.113.99"

    def row() -> tuple[str, bool]:
        with backend.db.read() as tx:
            (found,) = sessions.of_user(tx, ada.user_id)
        return found.address, found.expires_at > soon

    assert browser.is_signed_in()
    until_noted(backend)  # nothing was to be noted
    assert row() == ("203.0.113.7", False)
    age(backend, hours=1)
    assert browser.is_signed_in()
    wait_for(lambda: row() == ("203.0.113.99", True), what="the use to be noted")


def test_a_reader_waits_for_no_writer(signed_in: Browser, backend: Backend) -> None:
    """That somebody was seen is noted when there is time; here another holds the row, or SQLite's only lock."""
    age(backend, hours=1)
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.sessions).values(browser="held"))
        assert signed_in.is_signed_in()


def with_secret(settings: Settings, backend: Backend, secret: str) -> Flask:
    return make_app(settings.model_copy(update={"auth": "accounts", "secret": secret}), backend)


def moved(browser: Browser, app: Flask) -> Browser:
    """The same browser, when the server has been started again."""
    other = Browser(app)
    other.cookie, other.token = browser.cookie, browser.token
    return other


def test_secrets_are_exchanged_without_signing_anybody_out(
    settings: Settings, backend: Backend, signed_in: Browser
) -> None:
    """scenario 47: an open page posts with its old token, and the cookie is signed anew when it is used."""
    new = "a-new-secret-that-is-also-long-enough-for-the-check"
    during = moved(signed_in, with_secret(settings, backend, f"{new} {SECRET}"))
    assert during.post("/threads").status_code == 200
    age(backend, hours=1)
    assert during.post("/threads").status_code == 200
    during.token = during.get(f"{AUTH}/me").get_json()["csrf_token"]
    after = moved(during, with_secret(settings, backend, new))
    assert after.post("/threads").status_code == 200
    assert not moved(signed_in, with_secret(settings, backend, new)).is_signed_in()


def test_what_is_no_cookie_is_nobody(accounts_app: Flask, ada: User) -> None:
    broken = [
        "",
        "x",
        "a.b.c",
        ".",
        "e30.aaaaaa.bbbbbb",
        "\xff\xfe",
        "%00",
        '"quoted',
        "x" * 100_000,
        ".eJw" + "A" * 5000,
    ]
    client = accounts_app.test_client(use_cookies=False)
    for text in broken:
        sent = {"Cookie": f"deerflow_session={text}"}
        assert client.get(f"{AUTH}/me", headers=sent).status_code == 401, text
        assert client.get(f"{AUTH}/csrf", headers=sent).status_code == 200, text
        answer = client.post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD}, headers=sent)
        assert answer.status_code == 403, text  # it is a browser: it has to have our pre-session


def test_what_we_never_wrote_is_nobody(accounts_app: Flask) -> None:
    """Even with our signature, as another app with the same secret may write it."""
    signer = accounts_app.session_interface.get_signing_serializer(accounts_app)  # type: ignore[attr-defined]
    session_id = str(uuid4())
    for values in (
        [1], "text", None, {"_user_id": 7, "ver": 1}, {"_user_id": "x", "ver": 1}, {"_user_id": session_id},
        {"_user_id": session_id, "ver": "1"}, {"csrf_token": 5},
    ):  # fmt: skip
        browser = Browser(accounts_app)
        browser.cookie = signer.dumps(values)
        assert browser.get(f"{AUTH}/me").status_code == 401, values
        assert browser.get(f"{AUTH}/csrf").status_code == 200, values
        assert browser.post(f"{AUTH}/login", {"email": "a@example.com", "password": PASSWORD}).status_code == 403


def seen(app: Flask, *cookies: str) -> int:
    """What a browser sees that sends all of these under our name."""
    sent = "; ".join(f"deerflow_session={each}" for each in cookies)
    return app.test_client(use_cookies=False).get(f"{AUTH}/me", headers={"Cookie": sent}).status_code


def test_a_cookie_of_ours_beside_rubbish_is_found(accounts_app: Flask, signed_in: Browser) -> None:
    assert seen(accounts_app, signed_in.cookie, "rubbish", signed_in.cookie) == 200


def test_two_cookies_of_ours_are_nobodys(accounts_app: Flask, signed_in: Browser, elsewhere: Browser) -> None:
    """A neighbour's domain may set one beside ours: nobody acts for somebody else by that."""
    assert seen(accounts_app, elsewhere.cookie) == 200
    assert seen(accounts_app, elsewhere.cookie, signed_in.cookie) == 401


def test_what_changes_something_needs_the_sessions_token(signed_in: Browser, elsewhere: Browser) -> None:
    thread = signed_in.post("/threads").get_json()["thread_id"]
    runs = f"/threads/{thread}/runs/{uuid4()}"
    calls = [
        ("POST", "/threads"),
        ("POST", "/api/threads"),
        ("PATCH", f"/threads/{thread}"),
        ("DELETE", f"/threads/{thread}"),
        ("POST", "/threads/search"),
        ("GET", f"{runs}/stream?action=cancel"),
        ("HEAD", f"{runs}/stream?action=cancel"),
        ("GET", f"{runs}/join?cancel_on_disconnect=true"),
        ("GET", f"{runs}/stream?cancel_on_disconnect=1"),
        ("POST", f"{AUTH}/logout"),
        ("PATCH", f"{AUTH}/me"),
        ("DELETE", f"{AUTH}/sessions"),
    ]
    for sent in (None, "", "rubbish", "\xfc", "x" * 5000, elsewhere.token):
        for method, path in calls:
            assert signed_in.open(method, path, {}, X_CSRFToken=sent).status_code == 403, (method, path, sent)
        assert signed_in.get(f"/threads/{thread}", X_CSRFToken=sent).status_code == 200
    for method, path in calls[5:9]:
        assert signed_in.open(method, path).status_code == 404, (method, path)


def test_tokens_live_as_long_as_the_session(signed_in: Browser) -> None:
    """scenario 46: each page has its own, and all stay good."""
    tokens = {signed_in.get(f"{AUTH}/me").get_json()["csrf_token"] for _ in range(3)} | {signed_in.token}
    assert all(signed_in.post("/threads", X_CSRFToken=token).status_code == 200 for token in tokens)


PAGES: list[tuple[dict[str, str | None], int]] = [
    ({}, 200),
    ({"Sec_Fetch_Site": None}, 200),
    ({"Origin": None}, 200),
    ({"Sec_Fetch_Site": "none"}, 200),
    ({"Origin": "HTTP://Deerflow.Example"}, 200),
    ({"X_CSRFToken": None}, 403),
    ({"X_CSRFToken": "rubbish"}, 403),
    ({"X_CSRFToken": None, "Origin": None, "Sec_Fetch_Site": None}, 403),  # our cookie is there
    ({"Sec_Fetch_Site": "cross-site"}, 403),
    ({"Sec_Fetch_Site": "same-site"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "https://deerflow.example"}, 403),
    ({"Origin": "http://deerflow.example:8123"}, 403),
    ({"Origin": "http://deerflow.example.evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Content_Type": "text/plain"}, 400),
    ({"Content_Type": "application/x-www-form-urlencoded"}, 400),
    ({"Content_Type": "application/json; charset=utf-8"}, 200),
]


@pytest.mark.parametrize("path", ["login", "register"])
@pytest.mark.usefixtures("ada")
def test_only_our_own_page_signs_in(accounts_app: Flask, path: str) -> None:
    """scenario 44: no other site's page signs a visitor in as somebody else."""
    for headers, status in PAGES:
        browser = Browser(accounts_app)
        browser.load()
        answer = browser.post(f"{AUTH}/{path}", {"email": "ada@example.com", "password": PASSWORD}, **headers)
        if path == "register" and status == 200:  # the page is right, and registration is off
            assert (answer.status_code, "switched off" in answer.text) == (403, True), headers
            continue
        assert (answer.status_code, browser.is_signed_in()) == (status, status == 200), headers


def test_a_script_signs_in_without_a_page(accounts_app: Flask, ada: User) -> None:
    client = accounts_app.test_client()
    body = {"email": ada.email, "password": PASSWORD}
    token = client.post(f"{AUTH}/login", json=body).get_json()["csrf_token"]
    assert client.post("/threads", json={}, headers={cookie.CSRF_HEADER: token}).status_code == 200


@pytest.mark.parametrize(
    "base", ["http://deerflow.example:8123", "https://deerflow.example", "http://[2001:db8::1]:80"]
)
def test_the_origin_is_the_address_that_the_browser_shows(accounts_app: Flask, ada: User, base: str) -> None:
    """scenario 45: other ports, https, IPv6."""
    browser = Browser(accounts_app, base=base)
    token = browser.get(f"{AUTH}/csrf").get_json()["csrf_token"]
    origin = base.removesuffix(":80")
    body = {"email": ada.email, "password": PASSWORD}
    assert browser.post(f"{AUTH}/login", body, Origin=origin, X_CSRFToken=token).status_code == 200


def test_sessions_hold_in_each_process(signed_in: Browser, second_app: Flask) -> None:
    other = moved(signed_in, second_app)
    assert other.post("/threads").status_code == 200
    assert other.post(f"{AUTH}/logout").status_code == 204
    assert not signed_in.is_signed_in()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("login", {"email": "ada@example.com", "password": PASSWORD}),
        ("change-password", {"password": PASSWORD, "new_password": "vollmond wacholder tundra"}),
        ("logout", {}),
    ],
)
def test_what_could_not_be_committed_leaves_the_cookie_as_it_was(
    signed_in: Browser, backend: Backend, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, str]
) -> None:
    """The database went away in between: who tries again finds neither session nor token lost."""
    real = backend.db.begin

    @contextmanager
    def lost_at_the_end() -> Iterator[Tx]:
        with real() as tx:
            yield tx
            raise Unavailable("The database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(backend.db, "begin", lost_at_the_end)
        answer = signed_in.post(f"{AUTH}/{path}", body)
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (503, [])
    assert signed_in.is_signed_in()
    assert signed_in.post(f"{AUTH}/{path}", body).status_code in {200, 204}


def test_a_browsers_name_does_nothing_to_a_terminal(signed_in: Browser, ada: User) -> None:
    """The name is shown on the command line too, and in the audit."""
    signed_in.load()
    body = {"email": ada.email, "password": PASSWORD}
    assert signed_in.post(f"{AUTH}/login", body, User_Agent="Moz\x1b]0;x\x07\x9b2J illa").status_code == 200
    signed_in.load()
    [session] = signed_in.get(f"{AUTH}/sessions").get_json()
    assert session["browser"] == "Moz\ufffd]0;x\ufffd\ufffd2J illa"
