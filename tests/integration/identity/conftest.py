"""The app in mode ``accounts``, with a standing cast whose callers carry API keys."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask, session
from flask.testing import FlaskClient

from app import create_app
from deerflow.auth import links, passwords
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Role, Scope
from deerflow.identity.sessions import COOKIE, CSRF_HEADER, csrf_token, sign_in
from deerflow.runtime.set_up import open_set_up
from deerflow.settings import Settings
from deerflow.storage import database
from tests.conftest import wait_for
from tests.factories import make_app, make_key, make_user
from tests.integration.identity.browsers import PASSWORD, Browser

SECRET = "a-secret-that-only-these-tests-know-and-nobody-else"

Client = Callable[..., FlaskClient]
SignIn = Callable[[User], FlaskClient]


def until_noted(backend: Backend) -> None:
    """Wait until all uses of keys and sessions are written that were to be noted."""
    wait_for(lambda: backend.uses._thread is None, what="the notes of uses")


@pytest.fixture
def patient(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is waited for as long as a crowd of a hundred may need it on a busy machine."""
    monkeypatch.setattr(database, "_LOCK_PATIENCE_SECONDS", 100.0)
    monkeypatch.setattr(backend.db.engine.pool, "_timeout", 100.0)


@pytest.fixture
def accounts_app(settings: Settings, backend: Backend) -> Flask:
    """The real app on the ``backend`` fixture; its administrator has been set up."""
    make_user(backend, "admin@example.com", role=Role.ADMIN)
    return make_app(settings.model_copy(update={"auth": "accounts", "secret": SECRET}), backend)


@pytest.fixture
def fresh_app(settings: Settings, backend: Backend) -> Flask:
    """The real app after its first start: set-up is open."""
    app = make_app(settings.model_copy(update={"auth": "accounts", "secret": SECRET}), backend)
    open_set_up(backend)
    return app


@pytest.fixture
def token(backend: Backend) -> str:
    """The token of the one-time link."""
    waiting = open_set_up(backend)
    assert waiting is not None
    return links.set_up_path([SECRET], waiting).partition("token=")[2]


@pytest.fixture
def owner(backend: Backend) -> User:
    """Whose things they are."""
    return make_user(backend, "owner@example.com")


@pytest.fixture
def stranger(backend: Backend) -> User:
    """Knows the ids, and owns nothing."""
    return make_user(backend, "stranger@example.com")


@pytest.fixture
def as_user(accounts_app: Flask, backend: Backend) -> Client:
    """A client that sends a key of this user with each request."""

    def client(user: User, *, scope: Scope = Scope.RUN) -> FlaskClient:
        made = accounts_app.test_client()
        made.environ_base["HTTP_X_API_KEY"] = make_key(backend, user, scope=scope)
        return made

    return client


@pytest.fixture
def ada(backend: Backend) -> User:
    """Somebody with a password."""
    return make_user(backend, "ada@example.com", password=passwords.hash(PASSWORD))


@pytest.fixture
def browser(accounts_app: Flask) -> Browser:
    """A browser that nobody has signed in with."""
    return Browser(accounts_app)


@pytest.fixture
def signed_in(browser: Browser, ada: User) -> Browser:
    """Ada's browser."""
    assert browser.login(ada.email or "").status_code == 200
    return browser


@pytest.fixture
def elsewhere(accounts_app: Flask, ada: User) -> Browser:
    """Ada's second browser, at another address."""
    other = Browser(accounts_app, address="198.51.100.9")
    assert other.login(ada.email or "").status_code == 200
    return other


@pytest.fixture
def second_app(settings: Settings, accounts_app: Flask) -> Iterator[Flask]:
    """A second web process: a Backend of its own on the same database and Redis."""
    assert accounts_app
    app = create_app(settings.model_copy(update={"auth": "accounts", "secret": SECRET}))
    yield app
    app.extensions["deerflow"].close()


@pytest.fixture
def as_signed_in(accounts_app: Flask, backend: Backend) -> SignIn:
    """A browser in which this user is signed in; it sends its CSRF token with each request."""

    def client(user: User) -> FlaskClient:
        made = accounts_app.test_client()
        with accounts_app.test_request_context():
            with backend.db.begin() as tx:
                sign_in(tx, user, remember=True)
            token, answer = csrf_token(), accounts_app.response_class()
            accounts_app.session_interface.save_session(accounts_app, session, answer)
        made.set_cookie(COOKIE, answer.headers["Set-Cookie"].split(";")[0].partition("=")[2])
        made.environ_base[f"HTTP_{CSRF_HEADER.upper().replace('-', '_')}"] = token
        return made

    return client
