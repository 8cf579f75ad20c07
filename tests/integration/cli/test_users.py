"""``flask users``, ``keys``, ``sessions`` and ``audit`` as an operator uses them, while the server runs."""

import json
import re
from datetime import UTC, datetime, timedelta

import click
import pytest

from deerflow.auth import passwords
from deerflow.backend import Backend
from deerflow.cli import password as asking
from deerflow.cli.__main__ import main
from deerflow.domain.accounts import FIRST_ADMIN, User
from deerflow.domain.principal import PERMISSIONS, Principal, Role
from deerflow.errors import Conflict
from deerflow.runtime.users import By, change_role, find_user
from deerflow.storage import audit, sessions, threads, users
from tests.factories import LOCAL_USER, at_once, make_key, make_thread, make_user
from tests.integration.cli.conftest import Call

GOOD = "four words nothing connects"
ADA = "ada@example.com"


def find(backend: Backend, email: str = ADA) -> User:
    """The account as it is now."""
    with backend.db.read() as tx:
        found = users.find_by_email(tx, email)
    assert found is not None
    return found


def noted(backend: Backend) -> list[str]:
    """What the audit tells, oldest first."""
    with backend.db.read() as tx:
        return [entry.action for entry in audit.page(tx, limit=100)][::-1]


def sign_in(backend: Backend, user: User) -> None:
    with backend.db.begin() as tx:
        sessions.begin(tx, user, browser="Firefox", address="192.0.2.1", seconds=60)


def test_creates_an_account(command: Call, backend: Backend) -> None:
    make_user(backend, "root@example.com", role=Role.ADMIN)
    made = command("users", "create", " Ada@Example.COM", "--name", "Ada", "--password-stdin", stdin=f"{GOOD}\n")
    assert (made.exit_code, made.stdout) == (0, "ada@example.com may sign in now; role user.\n")
    user = find(backend)
    assert (user.name, user.role) == ("Ada", Role.USER)
    assert passwords.verify(GOOD, user.password)
    assert noted(backend) == ["user.create"]


def test_the_first_administrator_finishes_set_up(command: Call, backend: Backend) -> None:
    """So what was made before there were accounts is theirs; nobody comes before them."""
    thread = make_thread(backend, LOCAL_USER)
    refused = command("users", "create", ADA, "--password-stdin", stdin=GOOD)
    assert (refused.exit_code, "create the administrator first, with --admin" in refused.stderr) == (1, True)
    assert command("users", "create", ADA, "--admin", "--name", "Ada", "--password-stdin", stdin=GOOD).exit_code == 0
    admin = find(backend)
    assert (admin.user_id, admin.role, admin.name, admin.can_sign_in) == (FIRST_ADMIN, Role.ADMIN, "Ada", True)
    with backend.db.read() as tx:
        assert threads.get(tx, Principal(admin.owner, PERMISSIONS), thread.thread_id)
    assert noted(backend) == ["setup.finish"]
    assert command("users", "create", "bob@example.com", "--admin", "--password-stdin", stdin=GOOD).exit_code == 0
    assert find(backend, "bob@example.com").role is Role.ADMIN
    assert noted(backend) == ["setup.finish", "user.create"]


def test_without_accounts_nobody_is_created(command: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator made now would take what the principal ``local`` still works on."""
    monkeypatch.setenv("DEERFLOW_AUTH", "none")
    refused = command("users", "create", ADA, "--admin", "--password-stdin", stdin=GOOD)
    assert (refused.exit_code, "DEERFLOW_AUTH=none" in refused.stderr) == (1, True)


def test_asks_for_the_password_twice_at_a_terminal(
    command: Call, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And shows nothing of it."""
    make_user(backend, "root@example.com", role=Role.ADMIN)
    monkeypatch.setattr(asking, "is_at_terminal", lambda: True)
    made = command("users", "create", ADA, stdin=f"{GOOD}\nanother one\n{GOOD}\n{GOOD}\n")
    assert made.exit_code == 0, made.output
    assert GOOD not in made.output
    assert passwords.verify(GOOD, find(backend).password)


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (["create", ADA], "", (2, "There is no terminal to ask for the password: say --password-stdin")),
        (["create", ADA, "--password-stdin"], "", (1, "at least 8 characters")),
        (["create", ADA, "--password-stdin"], "password1", (1, "tried first")),
        (["create", "ada", "--password-stdin"], GOOD, (1, "must be an e-mail address")),
        (["create", "taken@example.com", "--password-stdin"], GOOD, (1, "already")),
        (["disable", ADA], "", (1, "There is no account with the e-mail ada@example.com")),
        (["reset-password", ADA], "", (1, "There is no account with the e-mail ada@example.com")),
        (["promote", "x"], "", (1, "There is no account with the e-mail x")),
        (["promote", "x@"], "", (1, "must be an e-mail address")),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    command: Call, backend: Backend, words: list[str], stdin: str, expected: tuple[int, str]
) -> None:
    code, told = expected
    make_user(backend, "taken@example.com", role=Role.ADMIN)
    ended = command("users", *words, stdin=stdin)
    assert ended.exit_code == code
    assert told in ended.stderr
    assert "Traceback" not in ended.output
    assert noted(backend) == []


def test_accounts_are_listed_with_their_state_and_no_hash(command: Call, backend: Backend) -> None:
    make_user(backend, ADA, role=Role.ADMIN, password="not a hash")
    off = make_user(backend, "bob@example.com")
    command("users", "disable", "bob@example.com")
    shown = command("users", "list")
    assert [line.split()[1:3] for line in shown.stdout.splitlines()[1:]] == [["admin", "active"], ["user", "disabled"]]
    listed = json.loads(command("users", "list", "--json").stdout)
    assert [(each["email"], each["state"]) for each in listed] == [(ADA, "active"), ("bob@example.com", "disabled")]
    assert listed[1]["user_id"] == off.owner
    assert "not a hash" not in shown.stdout + json.dumps(listed)


def test_a_reset_ends_all_sessions(command: Call, backend: Backend) -> None:
    user = make_user(backend, ADA, password="old")
    sign_in(backend, user)
    assert command("users", "reset-password", ADA, "--password-stdin", stdin=GOOD).exit_code == 0
    now = find(backend)
    assert passwords.verify(GOOD, now.password)
    assert now.token_version == user.token_version + 1
    with backend.db.read() as tx:
        assert sessions.of_user(tx, user.user_id) == []
    assert noted(backend) == ["password.reset"]


def test_a_reset_without_password_prints_a_link_alone(command: Call, backend: Backend) -> None:
    make_user(backend, ADA, password="old")
    told = command("users", "reset-password", ADA)
    assert told.exit_code == 0
    assert len(told.stdout.split()) == 1
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/console/password\?token=\S+\n", told.stdout)
    assert "once" in told.stderr
    assert find(backend).password == "old"


def test_disables_and_enables(command: Call, backend: Backend) -> None:
    user = make_user(backend, ADA)
    sign_in(backend, user)
    for _ in range(2):
        assert command("users", "disable", ADA).exit_code == 0
    assert find(backend).disabled_at is not None
    with backend.db.read() as tx:
        assert sessions.of_user(tx, user.user_id) == []
    assert command("users", "enable", ADA).exit_code == 0
    assert find(backend).disabled_at is None
    assert noted(backend) == ["user.disable", "user.enable"]


def test_promotes_and_demotes(command: Call, backend: Backend) -> None:
    make_user(backend, "root@example.com", role=Role.ADMIN)
    make_user(backend, ADA)
    assert command("users", "promote", ADA).exit_code == 0
    assert find(backend).role is Role.ADMIN
    assert command("users", "demote", ADA).exit_code == 0
    assert find(backend).role is Role.USER
    assert noted(backend) == ["user.promote", "user.demote"]


@pytest.mark.parametrize("verb", ["disable", "demote"])
def test_the_last_administrator_stays(command: Call, backend: Backend, verb: str) -> None:
    make_user(backend, ADA, role=Role.ADMIN)
    ended = command("users", verb, ADA)
    assert ended.exit_code == 1
    assert "last administrator" in ended.stderr
    assert find(backend).role is Role.ADMIN
    assert noted(backend) == []


def test_two_administrators_cannot_demote_each_other_at_once(backend: Backend) -> None:
    emails = [f"{n}@example.com" for n in range(4)]
    for email in emails:
        make_user(backend, email, role=Role.ADMIN)
    codes = at_once(*[lambda email=email: _demoted(backend, email) for email in emails])
    assert sorted(codes) == [False, True, True, True]


def _demoted(backend: Backend, email: str) -> bool:
    try:
        with backend.db.begin() as tx:
            change_role(tx, find_user(tx, email), Role.USER, By())
    except Conflict:
        return False
    return True


def test_a_key_is_printed_alone(command: Call, backend: Backend) -> None:
    make_user(backend, ADA)
    made = command("keys", "create", ADA, "--name", "laptop", "--scope", "read", "--expires-days", "30")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert made.stdout == f"{key}\n"
    assert key.startswith("df_")
    assert key not in made.stderr
    [listed] = json.loads(command("keys", "list", ADA, "--json").stdout)
    assert (listed["name"], listed["scope"], listed["state"]) == ("laptop", "read", "active")
    days = (datetime.fromisoformat(listed["expires_at"]) - datetime.now(UTC)) / timedelta(days=1)
    assert 29.9 < days <= 30
    assert key not in json.dumps(listed)


@pytest.mark.parametrize("by", ["key_id", "prefix"])
def test_a_key_is_revoked(command: Call, backend: Backend, by: str) -> None:
    user = make_user(backend, ADA)
    for _ in range(2):
        make_key(backend, user)
    revoked, kept = json.loads(command("keys", "list", "--json").stdout)
    assert command("keys", "revoke", revoked[by]).exit_code == 0
    states = {each["key_id"]: each["state"] for each in json.loads(command("keys", "list", "--json").stdout)}
    assert states == {revoked["key_id"]: "revoked", kept["key_id"]: "active"}
    assert noted(backend)[-1] == "key.revoke"
    told = command("keys", "revoke", "df_unknown0")
    assert (told.exit_code, "no API key df_unknown0" in told.stderr) == (1, True)


def test_sessions_are_listed_and_ended(command: Call, backend: Backend) -> None:
    user = make_user(backend, ADA)
    sign_in(backend, user)
    assert "Firefox" in command("sessions", "list", ADA).stdout
    assert command("sessions", "end", ADA).exit_code == 0
    assert "Firefox" not in command("sessions", "list", ADA).stdout
    assert find(backend).token_version == user.token_version + 1
    assert noted(backend) == ["session.end"]


def test_audit_is_searched(command: Call, backend: Backend) -> None:
    make_user(backend, ADA)
    command("keys", "create", ADA, "--name", "a")
    command("users", "disable", ADA)
    assert [e["action"] for e in json.loads(command("audit", "--json").stdout)] == ["user.disable", "key.create"]
    assert [e["action"] for e in json.loads(command("audit", "--json", "--action", "key.").stdout)] == ["key.create"]
    assert json.loads(command("audit", "--json", "--actor", ADA).stdout) == []
    assert len(command("audit", "--since", "1h").stdout.splitlines()) == 3
    assert command("audit", "--since", "2999-01-01").stdout.count("\n") == 1
    assert ADA in command("audit", "--limit", "1").stdout
    assert "neither a length" in command("audit", "--since", "yesterday").stderr


@pytest.mark.parametrize("name", ["users", "keys", "sessions", "audit"])
def test_help_has_examples(command: Call, name: str) -> None:
    assert f"flask --app app {name}" in command(name, "--help").stdout
    group = main.commands[name]
    for sub in group.commands.values() if isinstance(group, click.Group) else []:
        assert sub.help, sub.name
