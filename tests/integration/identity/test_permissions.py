"""Who may call which route: walks the URL map as it is, for every kind of caller."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from deerflow.authz import PUBLIC
from deerflow.backend import Backend
from deerflow.domain.accounts import User, principal_of
from deerflow.domain.principal import PERMISSIONS, SCOPES, Proof, Role, Scope, permissions_of
from deerflow.settings import ROOT
from tests.conftest import SilentBell
from tests.factories import claim_run, make_key, make_run, make_user, row_of
from tests.guards.routes import calls
from tests.integration.api.conftest import detail
from tests.integration.identity.conftest import Client, SignIn

CALLERS: list[tuple[Role, Scope | None]] = [(role, scope) for role in Role for scope in (*Scope, None)]
"""Every kind of caller with an account; *None* is signed in."""


def permission_of(app: Flask, endpoint: str) -> str:
    return str(getattr(app.view_functions[endpoint], "permission", None))


def is_page(path: str) -> bool:
    """Pages lead people to where they can sign in; their own tests follow them there."""
    return path.startswith("/console/")


@pytest.mark.parametrize(("role", "scope"), CALLERS, ids=str)
def test_every_route_is_open_to_whom_the_table_says(
    accounts_app: Flask,
    backend: Backend,
    bell: SilentBell,
    as_signed_in: SignIn,
    *,
    role: Role,
    scope: Scope | None,
) -> None:
    """403 exactly where the caller lacks the route's permission, before anything else of the request is looked at."""
    bell.broken = True  # nobody waits for a state worker
    user = make_user(backend, f"a-caller-{role}@example.com", role=role)
    key = make_key(backend, user, scope=scope) if scope is not None else None
    allowed = permissions_of(role, scope)
    declared, refused = set(), set()
    for method, path, rule in calls(accounts_app):
        permission = permission_of(accounts_app, rule.endpoint)
        if permission == PUBLIC or is_page(path):
            continue
        declared.add(permission)
        # Anew for each call: one of them signs out.
        client = as_signed_in(user) if key is None else accounts_app.test_client()
        headers = {} if key is None else {"x-api-key": key}
        answer = client.open(path, method=method, json={}, headers=headers)
        told = f"{method} {path}: {answer.status_code}"
        if permission in allowed:
            assert answer.status_code != 401, told
            assert answer.status_code != 403 or "needs the permission" not in answer.text, told
        else:
            refused.add(permission)
            assert detail(answer, 403) == f"This needs the permission {permission}", told
        answer.close()
    assert refused == declared - allowed


def test_nobody_is_let_in(accounts_app: Flask) -> None:
    """401 from every route that is not for anybody, whatever the request is about."""
    client = accounts_app.test_client()
    closed = 0
    for method, path, rule in calls(accounts_app):
        answer = client.open(path, method=method, data=b"{")
        if permission_of(accounts_app, rule.endpoint) == PUBLIC:
            continue
        closed += 1
        if is_page(path):
            assert answer.status_code in {303, 400, 401, 403}, (method, path)
        else:
            detail(answer, 401)
    assert closed > 60


_ROW = re.compile(r"^\| `([\w:]+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_the_page_has_the_table() -> None:
    """docs/api.md says of every permission who has it: keys of each scope, who is signed in, administrators only."""
    told = {
        name: tuple(cell.strip() == "yes" for cell in cells)
        for name, *cells in _ROW.findall((ROOT / "docs" / "api.md").read_text())
    }
    assert told == {
        permission: (
            *(permission in SCOPES[scope] for scope in Scope),
            permission in permissions_of(Role.ADMIN, None),
            permission not in permissions_of(Role.USER, None),
        )
        for permission in PERMISSIONS
    }


@pytest.mark.parametrize("role", Role)
def test_a_key_never_may_more_than_its_user(role: Role) -> None:
    """Nor does a smaller scope allow what a larger one does not."""
    read, run, admin = (permissions_of(role, scope) for scope in Scope)
    assert read < run < admin < permissions_of(role, None)


CHANGES: dict[str, tuple[str, str]] = {
    "stream with action": ("GET", "/threads/{thread}/runs/{run}/stream?action=interrupt"),
    "posted stream with action": ("POST", "/threads/{thread}/runs/{run}/stream?action=rollback"),
    "stream that takes the run along": ("GET", "/threads/{thread}/runs/{run}/stream?cancel_on_disconnect=1"),
    "join that takes the run along": ("GET", "/threads/{thread}/runs/{run}/join?cancel_on_disconnect=true"),
    "joined as a stream": ("GET", "/api/threads/{thread}/runs/{run}/join?cancel_on_disconnect=1"),
    "by its id alone": ("GET", "/runs/{run}/stream?action=interrupt"),
    "alone, taken along": ("GET", "/runs/{run}/stream?cancel_on_disconnect=1"),
    "cancel": ("POST", "/threads/{thread}/runs/{run}/cancel"),
    "cancel at the gateway": ("POST", "/api/threads/{thread}/runs/{run}/cancel?action=rollback"),
    "cancel many": ("POST", "/runs/cancel"),
    "delete": ("DELETE", "/threads/{thread}/runs/{run}"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_reading_key_cancels_nothing(as_user: Client, backend: Backend, owner: User, name: str) -> None:
    """scenario 41: whatever the method, what ends a run needs ``runs:cancel``; without that it is for reading."""
    caller = principal_of(owner, proof=Proof.KEY)
    run = make_run(backend, caller, temporary=name in {"by its id alone", "alone, taken along"})
    method, path = CHANGES[name]
    path = path.format(thread=run.thread_id, run=run.run_id)
    client = as_user(owner, scope=Scope.READ)
    body: dict[str, Any] = {"status": "all"}
    assert detail(client.open(path, method=method, json=body), 403) == "This needs the permission runs:cancel"
    assert row_of(backend, run).cancel_action is None
    if "stream" in path:
        answer = client.open(path.partition("?")[0], method=method)
        assert answer.status_code == 200
        answer.close()
    assert as_user(owner).open(path, method=method, json=body).status_code < 300


def test_a_signed_in_reader_needs_the_token_for_them_too(as_signed_in: SignIn, backend: Backend, owner: User) -> None:
    """A GET that another site's page could make the browser send cancels nothing."""
    running = claim_run(backend, make_run(backend, principal_of(owner, proof=Proof.SESSION)))
    assert running is not None
    path = f"/threads/{running.thread_id}/runs/{running.run_id}/stream"
    for query in ("action=interrupt", "cancel_on_disconnect=1"):
        client: FlaskClient = as_signed_in(owner)
        refused = client.get(f"{path}?{query}", headers={"X-CSRFToken": ""})
        assert "X-CSRFToken" in detail(refused, 403)
    assert row_of(backend, running).cancel_action is None
