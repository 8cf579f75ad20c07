"""The administrator whom the environment names: made at the first start, once, and not looked at again."""

from typing import Any

import pytest

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.cli.db import upgrade
from deerflow.cli.serve import _keep_key
from deerflow.domain.accounts import FIRST_ADMIN, User
from deerflow.domain.principal import Role, Scope
from deerflow.errors import ConfigError
from deerflow.runtime.set_up import first_boot, is_open, keep_key, open_set_up
from deerflow.runtime.users import By, change_role, find_user
from deerflow.settings import Settings
from deerflow.storage import audit, keys, users
from tests.factories import at_once, make_user

ADMIN = {"admin_email": "Ada@Example.com", "admin_password": "a long sentence nobody else would say"}


def everybody(backend: Backend) -> list[User]:
    with backend.db.read() as tx:
        return users.page(tx, limit=100)


def test_upgrade_makes_the_administrator(settings: Settings, backend: Backend) -> None:
    """So the release process of a Procfile does; a second one changes nothing, whatever password is set by then."""
    chosen = settings.model_copy(update={"auth": "accounts", **ADMIN})
    upgrade(chosen)
    (admin,) = everybody(backend)
    assert (admin.email, admin.role, admin.needs_setup) == ("ada@example.com", Role.ADMIN, False)
    assert passwords.verify(ADMIN["admin_password"], admin.password)
    upgrade(chosen.model_copy(update={"admin_password": "quite another sentence"}))
    assert everybody(backend) == [admin]


def test_without_accounts_nobody_is_made(settings: Settings, backend: Backend) -> None:
    upgrade(settings.model_copy(update=ADMIN))
    assert everybody(backend) == []


def test_many_starts_make_one_administrator(backend: Backend) -> None:
    """scenario 49: however many processes start at once."""
    at_once(*[lambda: first_boot(backend, **ADMIN)] * 8)
    (admin,) = everybody(backend)
    assert admin.user_id == FIRST_ADMIN
    assert not admin.needs_setup
    with backend.db.read() as tx:
        assert [entry.action for entry in audit.page(tx, limit=10)] == ["setup.finish"]


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"admin_password": ""}, "go together"),
        ({"admin_email": ""}, "go together"),
        ({"admin_email": "ada"}, "email: must be an e-mail address"),
        ({"admin_password": "short"}, "password: must have at least"),
        ({"admin_password": "password1"}, "tried first"),
    ],
)
def test_what_cannot_be_stops_the_start(backend: Backend, chosen: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        first_boot(backend, **{**ADMIN, **chosen})
    assert [user.needs_setup for user in everybody(backend)] == [True]


def test_an_e_mail_that_is_a_users_stops_the_start(backend: Backend) -> None:
    """As of those whom a proxy has named before: nobody would have a way in, and nothing would say why."""
    ada = make_user(backend, "ada@example.com")
    with pytest.raises(
        ConfigError, match=r"There is an account with the e-mail ada@example\.com already; name another"
    ):
        first_boot(backend, **ADMIN)
    with backend.db.begin() as tx:
        change_role(tx, find_user(tx, ada.email or ""), Role.ADMIN, By())
    assert first_boot(backend, **ADMIN) is None


def test_who_was_made_administrator_otherwise_ends_set_up(backend: Backend) -> None:
    """A start says nothing of a link that would be refused: the mode was ``trusted-header`` in between."""
    assert open_set_up(backend) is not None
    make_user(backend, "ada@example.com", role=Role.ADMIN)
    assert not is_open(backend)
    assert open_set_up(backend) is None
    assert first_boot(backend, **ADMIN) is None
    assert [user.email for user in everybody(backend) if not user.needs_setup] == ["ada@example.com"]


def test_the_environment_finishes_a_set_up_that_was_left_open(backend: Backend) -> None:
    assert first_boot(backend, admin_email="", admin_password="") is not None
    assert first_boot(backend, **ADMIN) is None
    assert [user.email for user in everybody(backend)] == ["ada@example.com"]


def test_who_starts_the_server_makes_one_administrator_only(backend: Backend) -> None:
    assert first_boot(backend, **ADMIN) is None
    assert first_boot(backend, **{**ADMIN, "admin_email": "bob@example.com"}) is None
    assert [user.email for user in everybody(backend)] == ["ada@example.com"]


def test_a_kept_key_is_the_administrators(backend: Backend) -> None:
    """Kept again at every start, it stays one; for nobody it is none."""
    assert not keep_key(backend, "ada@example.com", "df_0123456789")
    first_boot(backend, **ADMIN)
    assert keep_key(backend, "ADA@example.com", "df_0123456789")
    assert keep_key(backend, "ada@example.com", "df_0123456789")
    with backend.db.read() as tx:
        assert [(key.scope, key.prefix) for key in keys.of_user(tx, FIRST_ADMIN)] == [(Scope.ADMIN, "df_01234567")]


def test_a_key_that_would_open_nothing_is_not_kept(settings: Settings, backend: Backend) -> None:
    """The administrator is somebody else than the settings say by now."""
    make_user(backend, "bob@example.com", role=Role.ADMIN)
    _keep_key(backend, settings.model_copy(update=ADMIN))
    assert not settings.key_file.exists()
    make_user(backend, "ada@example.com", role=Role.ADMIN)
    _keep_key(backend, settings.model_copy(update=ADMIN))
    assert settings.key_file.exists()
