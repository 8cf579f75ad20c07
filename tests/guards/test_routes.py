"""Every route declares who may call it, no two routes compete, and the web process stays free of graphs."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from deerflow.api.mounts import MOUNTS
from deerflow.authz import PUBLIC
from deerflow.domain.principal import PERMISSIONS, THINGS, Principal
from deerflow.identity import local
from deerflow.settings import ROOT, Settings
from tests.conftest import GRAPHS
from tests.guards.routes import calls

FOR_ANYBODY = {
    *("/", "/ok", "/live", "/ready", "/info", "/metrics", "/docs", "/openapi.json"),
    *(f"/v1/auth/{name}" for name in ("csrf", "login", "register", "setup-status", "initialize", "reset-password")),
    *(
        "/login",
        "/setup",
        "/console/login",
        "/console/setup",
        "/console/password",
        "/console/register",
        "/console/look",
        "/console/static/<build>/<path:name>",
    ),
}
"""The routes that need no permission, without their mount's prefix."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The app, connected to nothing."""
    app = create_app(Settings(data=tmp_path_factory.mktemp("nothing"), config=GRAPHS, auth="none"))
    yield app
    app.extensions["deerflow"].close()


def unmounted(path: str) -> str:
    """The path without its mount's prefix."""
    return path.removeprefix("/api") if path.startswith("/api/") else path


def test_every_route_declares_its_permission(app: Flask) -> None:
    """scenario 41: a route says which permission it needs; the few for anybody are known by name."""
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        expected = {PUBLIC} if unmounted(rule.rule) in FOR_ANYBODY else PERMISSIONS
        assert permission in expected, f"{rule.rule} declares {permission!r}"


def test_every_permission_is_used(app: Flask) -> None:
    """A permission that no route asks for protects nothing."""
    used = {getattr(view, "permission", None) for view in app.view_functions.values()}
    assert used >= PERMISSIONS


def test_every_permission_is_enforced(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller without any permission gets 403 from each route, before anything else is looked at."""
    monkeypatch.setattr(local, "_LOCAL", Principal("nobody", frozenset()))
    client = app.test_client()
    for method, path, rule in calls(app):
        answer = client.open(path, method=method)
        assert (answer.status_code != 403) is (unmounted(rule.rule) in FOR_ANYBODY), (method, path)


def test_every_route_says_what_handlers_are_asked_about(app: Flask) -> None:
    """A project's handlers know resources and actions; a route without them would go past the handlers."""
    actions = {"create", "read", "update", "delete", "search", "create_run"}
    known = {(resource, action) for resource in ("threads", "assistants", "crons") for action in actions}
    known |= {("store", action) for action in ("put", "get", "search", "delete", "list_namespaces")}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        place = getattr(view, "place", None)
        if getattr(view, "permission", None) in THINGS:
            assert place in known, f"{rule.rule} is about {place!r}"
            deletes = "DELETE" in (rule.methods or ()) or rule.rule.endswith(("/threads/prune", "/delete"))
            assert deletes is (place[1] == "delete"), rule.rule
        else:
            assert place is None, f"{rule.rule} is about {place!r}, and no handler's caller may call it"


def test_mounts_have_the_same_routes(app: Flask) -> None:
    """A mount is a table of defaults: what exists under one exists under the other."""
    routes: dict[str, set[tuple[str, str]]] = {mount.name: set() for mount in MOUNTS}
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(("platform.", "gateway.")):  # the account API and the pages exist once
            continue
        routes[rule.endpoint.partition(".")[0]] |= {(method, unmounted(rule.rule)) for method in rule.methods or set()}
    assert routes["platform"] == routes["gateway"]
    assert len(routes["platform"]) > 15


def test_no_two_routes_compete(app: Flask) -> None:
    """No path can match two rules of one method, so that it never depends on their order which view answers.

    A rule is for WebSockets or for plain HTTP.
    """
    for one, other in itertools.combinations(app.url_map.iter_rules(), 2):
        if one.websocket is not other.websocket:
            continue
        if shared := (one.methods or set()) & (other.methods or set()) - {"OPTIONS"}:
            assert not competing(one.rule, other.rule), f"{one.rule} and {other.rule}: {shared}"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/a/<id:x>", "/a/<id(run):y>", True),
        ("/a/<id:x>", "/a/b", False),
        ("/a/<x>", "/a/b", True),
        ("/a/<x>", "/a/b/c", False),
        ("/<path:x>", "/a/b/c", True),
        ("/a/<path:x>", "/a", False),
        ("/a/", "/a", False),
    ],
)
def test_competing(one: str, other: str, expected: bool) -> None:  # noqa: FBT001
    """The guard above sees what it has to see."""
    assert competing(one, other) is expected


def competing(one: str, other: str) -> bool:
    """Whether some path matches both rules. An id is a UUID, which no fixed segment of ours is; no segment is empty."""
    ours, theirs = one.split("/"), other.split("/")
    for a, b in itertools.zip_longest(ours, theirs):
        if a is None or b is None:
            return False
        if any(segment.startswith("<path") for segment in (a, b)):
            return True
        kinds = {"id" if s.startswith("<id") else "any" if s.startswith("<") else "fixed" for s in (a, b)}
        if kinds == {"id", "fixed"} or (kinds == {"fixed"} and a != b):
            return False
    return True


SCRIPT = """
import sys
import wsgi
from tests.guards.routes import calls

client = wsgi.application.test_client()
for method, path, _ in calls(wsgi.application):
    body = {"assistant_id": "chat", "if_not_exists": "create", "namespace_prefix": 0, "prefix": 0}
    answer = client.open(path, method=method, json=body)
    answer.close()
    print(answer.status_code, method, path)
heavy = {"langgraph", "langchain", "langchain_core", "langsmith", "alembic", "deerflow.graphs", "tasks"}
print("LOADED", *sorted(heavy & set(sys.modules)))
"""


def test_web_process_imports_no_graphs(settings: Settings, tmp_path: Path) -> None:
    """Serving every route loads neither LangGraph nor Alembic, so a broken graph cannot take the API down."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "DEERFLOW_DATA": str(tmp_path),
        "DEERFLOW_CONFIG": str(GRAPHS),
        "DEERFLOW_AUTH": "none",
    }
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    *called, loaded = ended.stdout.splitlines()
    assert len(called) > 30
    not_ready = {f"503 GET {mount.prefix}/ready" for mount in MOUNTS}  # there is no worker
    assert {call for call in called if call.startswith("5")} == not_ready
    assert loaded == "LOADED"
