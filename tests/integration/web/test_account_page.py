"""One's own account on its page."""

import pytest
from flask import Flask

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.ids import new_id
from deerflow.storage import sessions, users
from tests.factories import make_user
from tests.integration.identity.browsers import HOST, PASSWORD
from tests.integration.web.conftest import Person

NEW = "violet tram under marble"
PROFILE = {"name": "Ada Lovelace", "language": "en-US", "time_zone": "Asia/Shanghai", "scheme": "dark"}
LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

pytestmark = pytest.mark.usefixtures("ada")


def sign_in(person: Person, email: str = "ada@example.com", password: str = PASSWORD) -> Person:
    person.browser.client.environ_base["HTTP_USER_AGENT"] = LINUX
    person.open("/console/login")
    assert person.send("/console/login", email=email, password=password).status_code == 303
    person.open("/console/account")
    return person


@pytest.fixture
def signed_in(person: Person) -> Person:
    """Ada, with her account's page open."""
    return sign_in(person)


@pytest.fixture
def elsewhere(accounts_app: Flask) -> Person:
    """Ada in a second browser."""
    return sign_in(Person(accounts_app))


def is_in(person: Person) -> bool:
    return person.open("/console/account").status_code == 200


def now(backend: Backend, user: User) -> User:
    with backend.db.read() as tx:
        return users.get(tx, user.user_id)


def test_the_profile_is_saved_without_a_sign_out(
    signed_in: Person, elsewhere: Person, ada: User, backend: Backend
) -> None:
    """Name, language, time zone and colours, in every browser of hers."""
    led = signed_in.send("/console/account", **PROFILE)
    signed_in.open(led.headers["Location"])
    assert "Saved." in signed_in.told()
    user = now(backend, ada)
    assert (user.name, user.language, user.time_zone, user.scheme) == tuple(PROFILE.values())
    assert is_in(elsewhere)
    assert "Ada Lovelace" in elsewhere.told()
    assert 'data-scheme="dark"' in elsewhere.page.text
    assert '<option selected value="Asia/Shanghai">' in elsewhere.page.text


@pytest.mark.parametrize("zone", ["localtime", "Factory", "Europe/Atlantis", "x" * 3_000, "../../etc/passwd"])
def test_a_time_zone_that_pages_do_not_know_is_none(signed_in: Person, ada: User, backend: Backend, zone: str) -> None:
    """Whether a cookie says so or, as the API lets one, the user has chosen it."""
    signed_in.browser.client.set_cookie("deerflow_zone", zone, domain=HOST)
    assert signed_in.open("/console/account").status_code == 200
    with backend.db.begin() as tx:
        users.change(tx, ada.user_id, time_zone=zone)
    assert signed_in.open("/console/account").status_code == 200


def test_what_is_emptied_is_the_browsers_again(signed_in: Person, ada: User, backend: Backend) -> None:
    signed_in.send("/console/account", **PROFILE)
    signed_in.open("/console/account")
    signed_in.send("/console/account", name=" \n ", language="", time_zone="", scheme="system")
    user = now(backend, ada)
    assert (user.name, user.language, user.time_zone, user.scheme) == (None, None, None, "system")


@pytest.mark.parametrize(
    "wrong", [{"time_zone": "Europe/Atlantis"}, {"language": "xx"}, {"scheme": "pink"}, {"name": "x" * 201}]
)
def test_nonsense_is_not_saved(signed_in: Person, ada: User, backend: Backend, wrong: dict[str, str]) -> None:
    page = signed_in.send("/console/account", **{**PROFILE, **wrong})
    assert page.status_code == 200
    assert 'aria-invalid="true"' in page.text
    assert now(backend, ada) == ada


def test_a_name_is_one_line_that_can_be_printed(signed_in: Person, ada: User, backend: Backend) -> None:
    signed_in.send("/console/account", **{**PROFILE, "name": "Ada\r\n\0 \x1b[31mL"})
    assert now(backend, ada).name == "Ada [31mL"


@pytest.mark.parametrize("scheme", ["light", "dark", "system"])
def test_colours_chosen_in_the_menu_are_the_users(
    signed_in: Person, elsewhere: Person, ada: User, backend: Backend, scheme: str
) -> None:
    """They go before what another browser remembers."""
    elsewhere.browser.client.set_cookie(
        "deerflow_scheme", "dark" if scheme != "dark" else "light", domain="deerflow.example"
    )
    signed_in.send("/console/look", scheme=scheme)
    assert now(backend, ada).scheme == scheme
    assert f'data-scheme="{scheme}"' in elsewhere.open("/console/account").text


def test_a_new_password_ends_the_other_sessions_and_says_so(signed_in: Person, elsewhere: Person) -> None:
    led = signed_in.send("/console/account/password", current=PASSWORD, password=NEW, again=NEW)
    signed_in.open(led.headers["Location"])
    assert "Your password is changed" in signed_in.told()
    assert "all your other sessions have ended" in signed_in.told()
    assert not is_in(elsewhere)
    signed_in.send("/console/logout")
    assert is_in(sign_in(signed_in, password=NEW))


@pytest.mark.parametrize(
    ("typed", "field", "told"),
    [
        ({"current": "another one"}, "current", "Password until now is not your password."),
        ({"current": ""}, "current", "Enter your password."),
        ({"password": "short", "again": "short"}, "password", "New password must have at least 8 characters."),
        ({"password": PASSWORD, "again": PASSWORD}, "password", "New password is the one that you have."),
        ({"password": "ada@example.com", "again": "ada@example.com"}, "password", "must not be made of your e-mail"),
        ({"again": "another one"}, "again", "The two passwords are not the same."),
    ],
)
def test_a_password_that_is_refused_is_told_at_its_field(
    signed_in: Person, elsewhere: Person, typed: dict[str, str], field: str, told: str
) -> None:
    right = {"current": PASSWORD, "password": NEW, "again": NEW}
    page = signed_in.send("/console/account/password", **{**right, **typed})
    assert told in beside(signed_in, field)
    assert PASSWORD not in page.text
    assert is_in(elsewhere)


def beside(person: Person, field: str) -> str:
    """What is wrong with a field, as it is tied to it."""
    described = str(person.fields()[field]["aria-describedby"]).split()[-1]
    return person.page.text.partition(f'id="{described}">')[2].partition("<")[0]


def test_a_new_e_mail_asks_the_password_and_ends_the_other_sessions(
    signed_in: Person, elsewhere: Person, ada: User, backend: Backend
) -> None:
    signed_in.send("/console/account/email", email="countess@example.com", current="another one")
    assert "is not your password" in signed_in.told()
    assert signed_in.fields()["email"]["value"] == "countess@example.com"
    led = signed_in.send("/console/account/email", email="countess@example.com", current=PASSWORD)
    signed_in.open(led.headers["Location"])
    assert "Your e-mail is changed" in signed_in.told()
    assert now(backend, ada).email == "countess@example.com"
    assert not is_in(elsewhere)


@pytest.mark.parametrize(
    ("email", "told"),
    [("bob@example.com", "There is an account with the e-mail bob@example.com already."),
     ("nonsense", "New e-mail must be an e-mail address"), ("", "Enter your e-mail address.")],
)  # fmt: skip
def test_an_e_mail_that_is_refused_is_told_at_its_field(
    signed_in: Person, backend: Backend, email: str, told: str
) -> None:
    make_user(backend, "bob@example.com")
    signed_in.send("/console/account/email", email=email, current=PASSWORD)
    assert told in beside(signed_in, "email")


def test_wrong_passwords_have_to_wait(signed_in: Person) -> None:
    for _ in range(5):
        signed_in.send("/console/account/email", email="a@example.com", current="another one")
    page = signed_in.send("/console/account/email", email="a@example.com", current=PASSWORD)
    assert page.status_code == 429
    assert "Too many wrong passwords. Try again in 5 minutes." in signed_in.told()


def test_sessions_are_told_in_words_and_each_can_be_ended(
    signed_in: Person, elsewhere: Person, ada: User, backend: Backend
) -> None:
    """Browser, address, when; this one is marked and not offered to be ended."""
    signed_in.open("/console/account")
    assert "Chrome on Linux This browser" in signed_in.told()
    assert signed_in.told().count("Chrome on Linux") == 2
    with backend.db.read() as tx:
        other = min(sessions.of_user(tx, ada.user_id), key=lambda row: row.created_at)
        mine = max(sessions.of_user(tx, ada.user_id), key=lambda row: row.created_at)
    ends = [
        row.session_id for row in (other, mine) if f"/console/account/sessions/{row.session_id}" in signed_in.page.text
    ]
    assert len(ends) == 1
    led = signed_in.send(f"/console/account/sessions/{ends[0]}")
    signed_in.open(led.headers["Location"])
    assert "That session has ended." in signed_in.told()
    assert not is_in(elsewhere)


def test_all_others_are_ended_at_once(signed_in: Person, elsewhere: Person, accounts_app: Flask) -> None:
    third = sign_in(Person(accounts_app))
    signed_in.open("/console/account")
    assert "End 2 sessions" in signed_in.told()
    signed_in.send("/console/account/sessions")
    assert not is_in(elsewhere)
    assert not is_in(third)
    assert is_in(signed_in)


def test_nobody_ends_anothers_session(signed_in: Person, accounts_app: Flask, backend: Backend) -> None:
    bob = make_user(backend, "bob@example.com", password=passwords.hash(PASSWORD))
    theirs = sign_in(Person(accounts_app), "bob@example.com")
    with backend.db.read() as tx:
        (row,) = sessions.of_user(tx, bob.user_id)
    for session_id in (row.session_id, new_id()):
        assert signed_in.send(f"/console/account/sessions/{session_id}").status_code == 404
        signed_in.open("/console/account")
    assert is_in(theirs)


@pytest.mark.parametrize("path", ["", "/email", "/password", "/sessions"])
def test_another_sites_page_changes_nothing(signed_in: Person, ada: User, backend: Backend, path: str) -> None:
    client, base = signed_in.browser.client, signed_in.browser.base
    sent = {**PROFILE, "email": "evil@example.com", "current": PASSWORD, "password": NEW, "again": NEW}
    assert client.post(f"/console/account{path}", data=sent, base_url=base).status_code == 403
    assert now(backend, ada) == ada
