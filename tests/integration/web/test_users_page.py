"""The pages of users: who administrates sees everybody, lets people in and out, and never sees a password."""

import re

import pytest
from flask import Flask

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import Standing, User
from deerflow.domain.principal import Role
from deerflow.settings import Settings
from deerflow.storage import audit, users
from tests.factories import make_app, make_key, make_user
from tests.integration.identity.browsers import PASSWORD
from tests.integration.identity.conftest import SECRET
from tests.integration.web.conftest import Person

NEW = "violet tram under marble"
ROOT = "root@example.com"


@pytest.fixture
def root(backend: Backend) -> User:
    """An administrator with a password."""
    return make_user(backend, ROOT, role=Role.ADMIN, password=passwords.hash(PASSWORD))


@pytest.fixture
def admin(person: Person, root: User) -> Person:
    """The administrator at a browser."""
    return signed_in(person, str(root.email))


def signed_in(person: Person, email: str, password: str = PASSWORD) -> Person:
    person.open("/console/login")
    assert person.send("/console/login", email=email, password=password).status_code == 303
    return person


def place(user: User) -> str:
    return f"/console/users/{user.owner}"


def press(person: Person, user: User, act: str, **typed: str) -> str:
    """Press a button of a user's page; what the page says that one is led to."""
    person.open(place(user))
    answer = person.send(f"{place(user)}/{act}", **typed)
    if answer.status_code == 303:
        person.open(answer.headers["Location"])
    return person.told()


def now(backend: Backend, user: User) -> User:
    with backend.db.read() as tx:
        return users.get(tx, user.user_id)


def link_on(person: Person) -> str:
    """The one-time link that a page shows, as a path."""
    found = set(re.findall(r"http://deerflow\.example(/console/password\?token=[\w.%-]+)", person.page.text))
    assert len(found) == 1
    return found.pop()


def test_who_there_is_is_listed_with_role_and_state(admin: Person, ada: User, backend: Backend) -> None:
    make_user(backend, "bob@example.com")
    with backend.db.begin() as tx:
        users.disable(tx, ada.user_id)
    make_key(backend, ada)
    admin.open("/console/users")
    rows = dict(
        re.findall(r'<tr>\s*<td class="main-cell"><a[^>]*>([\w@.]+).*?</a>(.*?)</tr>', admin.page.text, re.DOTALL)
    )
    assert {email: re.sub(r"<[^>]+>|\s+", " ", row).split()[:2] for email, row in rows.items()} == {
        "admin@example.com": ["Administrator", "Invited"],
        ROOT: ["Administrator", "Active"],
        "ada@example.com": ["User", "Disabled"],
        "bob@example.com": ["User", "Invited"],
    }
    assert "argon2" not in admin.page.text


FOUND: dict[str, set[str]] = {
    "q=ADA": {"ada@example.com"},
    "q=lovelace": {"ada@example.com"},
    "q=%25": set(),
    "q=%00": set(),
    "show=admins": {ROOT, "admin@example.com"},
    "show=admins&q=root": {ROOT},
    "show=disabled": set(),
    "show=nonsense": {ROOT, "admin@example.com", "ada@example.com"},
    "page=999": {ROOT, "admin@example.com", "ada@example.com"},
    "page=x": {ROOT, "admin@example.com", "ada@example.com"},
}


def test_users_are_found_by_name_e_mail_and_kind(admin: Person, ada: User, backend: Backend) -> None:
    with backend.db.begin() as tx:
        users.change(tx, ada.user_id, name="Ada Lovelace")
    for query, shown in FOUND.items():
        assert admin.open(f"/console/users?{query}").status_code == 200
        table = admin.page.text.partition("<tbody>")[2]
        assert set(re.findall(r"[\w.]+@example\.com", table)) == shown, query


def test_many_users_are_pages(admin: Person, backend: Backend) -> None:
    for number in range(30):
        make_user(backend, f"person-{number}@example.com")
    admin.open("/console/users?q=person")
    assert "1\u201325 of 30" in admin.told()
    (following,) = re.findall(r'rel="next" href="([^"]+)"', admin.page.text)
    admin.open(following.replace("&amp;", "&"))
    assert "26\u201330 of 30" in admin.told()
    assert "person-29@example.com" in admin.told()
    assert 'rel="next"' not in admin.page.text


def test_who_is_invited_chooses_a_password_and_signs_in(admin: Person, accounts_app: Flask, backend: Backend) -> None:
    """The link is shown once, and nobody but its bearer knows the password."""
    admin.open("/console/users/invite")
    admin.send("/console/users/invite", email=" Grace@Example.com", name="Grace", role="admin")
    link = link_on(admin)
    assert "Grace is invited" in admin.told()
    made = next(user for user in everybody(backend) if user.email == "grace@example.com")
    assert (made.name, made.role, made.standing) == ("Grace", Role.ADMIN, Standing.INVITED)
    grace = Person(accounts_app)
    grace.open(link)
    assert (
        grace.send("/console/password", password=NEW, again=NEW).headers["Location"] == "/console/login?done=password"
    )
    assert signed_in(grace, "grace@example.com", NEW).open("/console/users").status_code == 200
    assert admin.open(place(made)).status_code == 200
    assert link not in admin.page.text


def everybody(backend: Backend) -> list[User]:
    with backend.db.read() as tx:
        return users.page(tx, limit=100)


WRONG: list[tuple[dict[str, str], str]] = [
    ({"email": ""}, "Enter an e-mail address."),
    ({"email": "nobody"}, "must be an e-mail address"),
    ({"email": "ROOT@example.com"}, "Somebody has this e-mail already."),
    ({"email": "x@example.com", "name": "x" * 201}, "Enter at most 200 characters."),
    ({"email": "x@example.com", "role": "king"}, "Not a valid choice"),
]


def test_a_wrong_invitation_is_told_at_its_field(admin: Person, backend: Backend) -> None:
    before = everybody(backend)
    for typed, told in WRONG:
        admin.open("/console/users/invite")
        admin.send("/console/users/invite", **{"role": "user", **typed})
        assert told in admin.page.text
    assert everybody(backend) == before


def test_disabling_ends_sessions_and_keys_at_once(
    admin: Person, accounts_app: Flask, ada: User, backend: Backend
) -> None:
    """And enabling makes the keys good again, but no session."""
    hers, key = signed_in(Person(accounts_app), "ada@example.com"), {"x-api-key": make_key(backend, ada)}
    api = accounts_app.test_client()
    assert api.post("/threads", json={}, headers=key).status_code == 200
    assert "May not sign in any more." in press(admin, ada, "disable")
    assert hers.open("/console/").headers["Location"] == "/console/login"
    assert api.post("/threads", json={}, headers=key).status_code == 401
    assert "May sign in again." in press(admin, ada, "enable")
    assert api.post("/threads", json={}, headers=key).status_code == 200
    assert hers.open("/console/").headers["Location"] == "/console/login"


def test_somebody_is_signed_out_everywhere(admin: Person, accounts_app: Flask, ada: User, backend: Backend) -> None:
    hers, key = signed_in(Person(accounts_app), "ada@example.com"), {"x-api-key": make_key(backend, ada)}
    assert "Is signed out everywhere." in press(admin, ada, "sign-out")
    assert hers.open("/console/").headers["Location"] == "/console/login"
    assert accounts_app.test_client().post("/threads", json={}, headers=key).status_code == 200


def test_a_password_is_reset_by_a_one_time_link(admin: Person, accounts_app: Flask, ada: User) -> None:
    """To make one changes nothing yet."""
    press(admin, ada, "link")
    link = link_on(admin)
    hers = signed_in(Person(accounts_app), "ada@example.com")
    other = Person(accounts_app)
    other.open(link)
    assert other.send("/console/password", password=NEW, again=NEW).status_code == 303
    assert hers.open("/console/").headers["Location"] == "/console/login"
    signed_in(other, "ada@example.com", NEW)


def test_roles_are_given_and_taken(admin: Person, accounts_app: Flask, ada: User, backend: Backend) -> None:
    hers = signed_in(Person(accounts_app), "ada@example.com")
    assert hers.open("/console/users").status_code == 403
    assert "Is an administrator now." in press(admin, ada, "role", role="admin")
    assert hers.open("/console/users").status_code == 200
    assert "Is a user like others now." in press(admin, ada, "role", role="user")
    assert hers.open("/console/users").status_code == 403
    assert now(backend, ada).role is Role.USER


@pytest.mark.parametrize(("act", "typed"), [("disable", {}), ("role", {"role": "user"})])
def test_the_last_administrator_stays(
    admin: Person, root: User, backend: Backend, act: str, typed: dict[str, str]
) -> None:
    """And is told why, on their page."""
    with backend.db.begin() as tx:
        other = users.find_by_email(tx, "admin@example.com")
        assert other is not None
        users.disable(tx, other.user_id)
    assert "This is the last administrator; make somebody else one first." in press(admin, root, act, **typed)
    assert admin.page.status_code == 409
    assert now(backend, root).standing is Standing.ACTIVE
    assert now(backend, root).role is Role.ADMIN


@pytest.mark.parametrize(
    ("act", "typed", "leads"),
    [
        ("role", {"role": "user"}, "/console/threads"),
        ("sign-out", {}, "/console/login"),
        ("disable", {}, "/console/login"),
    ],
)
def test_who_takes_their_own_rights_away_is_led_out(
    admin: Person, root: User, act: str, typed: dict[str, str], leads: str
) -> None:
    admin.open(place(root))
    assert admin.send(f"{place(root)}/{act}", **typed).headers["Location"] == "/console/"
    assert admin.open("/console/").headers["Location"] == leads


ADDRESSES = ("", "/invite", "/{}", "/{}?done=admin")
ACTS = ("role", "disable", "enable", "sign-out", "link")


def test_who_does_not_administrate_gets_none_of_it(person: Person, ada: User, root: User, backend: Backend) -> None:
    """403, and nothing is told or done. Whoever is not signed in is led to where one can."""
    paths = [f"/console/users{path.format(root.owner)}" for path in ADDRESSES]
    assert {person.open(path).headers["Location"].partition("?")[0] for path in paths} == {"/console/login"}
    signed_in(person, str(ada.email))
    for path in paths:
        assert person.open(path).status_code == 403, path
        assert ROOT not in person.page.text
    before = everybody(backend)
    for act in ACTS:
        person.open("/console/account")
        assert person.send(f"{place(root)}/{act}", role="user").status_code == 403, act
    person.open("/console/account")
    assert person.send("/console/users/invite", email="x@example.com", role="admin").status_code == 403
    assert everybody(backend) == before
    assert "/console/users" not in person.open("/console/account").text


def test_a_button_of_another_site_does_nothing(admin: Person, ada: User, backend: Backend) -> None:
    before = everybody(backend)
    client, base = admin.browser.client, admin.browser.base
    for act in ACTS:
        assert client.post(f"{place(ada)}/{act}", data={"role": "admin"}, base_url=base).status_code == 403, act
    assert everybody(backend) == before


def test_nobody_has_no_page(admin: Person) -> None:
    for who, status in (("01932c07-0000-7000-8000-000000000001", 404), ("x", 422)):
        assert admin.open(f"/console/users/{who}").status_code == status
        assert admin.page.mimetype == "text/html"
        for act in ACTS:
            admin.open("/console/account")
            assert admin.send(f"/console/users/{who}/{act}", role="admin").status_code == status


def test_behind_a_proxy_there_are_no_passwords(settings: Settings, backend: Backend) -> None:
    """Roles are given, and people disabled; nobody is invited, and there is no link."""
    told = {"auth": "trusted-header", "secret": SECRET, "trusted_proxies": "127.0.0.1"}
    client = make_app(settings.model_copy(update=told), backend).test_client()
    client.environ_base["HTTP_X_FORWARDED_USER"] = "root"
    boss = make_user(backend, "root", role=Role.ADMIN)
    make_user(backend, "second", role=Role.ADMIN)
    ada = make_user(backend, "ada")
    page = client.get("/console/users").text
    assert "Invite" not in page
    assert "Active" in page
    assert "one-time" not in client.get(place(ada)).text
    assert "/link" not in client.get(place(ada)).text
    for path in ("/console/users/invite", f"{place(ada)}/link"):
        assert client.post(path, data={"email": "x@example.com"}).status_code == 409, path
    assert client.post(f"{place(ada)}/role", data={"role": "admin"}).status_code == 303
    assert client.post(f"{place(ada)}/disable").status_code == 303
    assert (now(backend, ada).role, now(backend, ada).standing) == (Role.ADMIN, Standing.DISABLED)
    with backend.db.read() as tx:
        assert [entry.actor for entry in audit.page(tx, limit=2)] == [boss.owner] * 2


def test_without_accounts_there_are_no_users(settings: Settings, backend: Backend) -> None:
    client = make_app(settings, backend).test_client()
    assert client.get("/console/users").status_code == 409
    assert "/console/users" not in client.get("/console/threads").text
