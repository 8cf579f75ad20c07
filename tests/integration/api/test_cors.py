"""Pages of other origins: what their browsers are told, and whom they may be (scenario 35)."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deerflow.backend import Backend
from deerflow.domain.principal import Role
from deerflow.settings import Settings
from tests.factories import make_app, make_key, make_user
from tests.guards.routes import calls
from tests.integration.api.conftest import detail

APP, OTHER = "https://app.example.org", "https://other.example.com"
SECRET = "a-secret-that-only-these-tests-know-and-nobody-else"
READ = {"content-location", "location", "x-pagination-total", "x-pagination-next", "idempotent-replayed", "retry-after"}
Serve = Callable[..., Flask]


@pytest.fixture
def serve(settings: Settings, backend: Backend) -> Serve:
    """An app with these settings; with accounts there is one key, of which ``key`` tells."""

    def serve(auth: str = "accounts", **values: str | int) -> Flask:
        told = {"auth": auth, "secret": SECRET, "trusted_proxies": "10.0.0.1", **values}
        return make_app(settings.model_copy(update=told), backend)

    return serve


@pytest.fixture
def key(backend: Backend) -> dict[str, str]:
    """The headers of a user."""
    return {"x-api-key": make_key(backend, make_user(backend, "ada@example.com", role=Role.ADMIN))}


def preflight(client: FlaskClient, path: str, *, origin: str = APP, method: str = "POST", **more: str) -> TestResponse:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, **more}
    return client.options(path, headers=asked)


def exposed(answer: TestResponse) -> set[str]:
    return set(answer.headers["Access-Control-Expose-Headers"].lower().split(", "))


def test_every_route_answers_a_preflight_to_who_brings_nothing(serve: Serve) -> None:
    """On both mounts, also where there is no route; pages are for nobody else."""
    app = serve()
    for method, path, _ in calls(app):
        answer = preflight(app.test_client(), path, method=method)
        if path.startswith("/console") or path in {"/login", "/setup", "/docs", "/api/docs"}:
            assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (403, False)
            continue
        assert (answer.status_code, answer.data) == (204, b""), path
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert preflight(app.test_client(), "/nowhere").status_code == 204


def test_a_preflight_allows_what_the_page_wants_to_send(serve: Serve) -> None:
    wanted = {"Access-Control-Request-Headers": "x-api-key,x-mine", "Access-Control-Request-Private-Network": "true"}
    answer = preflight(serve().test_client(), "/threads", **wanted)
    assert answer.headers["Access-Control-Allow-Headers"] == "x-api-key,x-mine"
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert {"Origin", "Access-Control-Request-Headers"} <= set(answer.vary)


def test_answers_can_be_read(serve: Serve, key: dict[str, str]) -> None:
    """scenario 35: with the headers that SDKs need, on errors too; never with what a cookie would open."""
    client = serve(body_bytes=1024).test_client()
    made = client.post("/threads", json={}, headers={**key, "Origin": APP})
    run = f"/threads/{made.get_json()['thread_id']}/runs"
    answers = {
        200: client.post(run, json={"assistant_id": "steps"}, headers={**key, "Origin": APP}),
        401: client.get(run, headers={"Origin": APP}),
        404: client.get("/nowhere", headers={"Origin": APP}),
        405: client.put("/threads", headers={"Origin": APP}),
        413: client.post("/threads", data=b" " * 2048, headers={**key, "Origin": APP}),
        422: client.get("/threads/none", headers={**key, "Origin": APP}),
    }
    assert {status: answer.status_code for status, answer in answers.items()} == {each: each for each in answers}
    for answer in answers.values():
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert exposed(answer) >= READ
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answers[200].headers["Content-Location"].startswith(run)


def test_only_named_origins_are_let_in(serve: Serve, key: dict[str, str]) -> None:
    """By their own name; a cache keeps what one is told from the others."""
    client = serve(cors_origins=APP).test_client()
    named, other = (client.get("/threads/x", headers={**key, "Origin": origin}) for origin in (APP, OTHER))
    assert named.headers["Access-Control-Allow-Origin"] == APP
    assert "Access-Control-Allow-Origin" not in other.headers
    assert all("Origin" in answer.vary for answer in (named, other, client.get("/ok")))
    assert "other.example.com" in detail(preflight(client, "/threads", origin=OTHER), 403)
    assert preflight(client, "/threads").status_code == 204


def test_without_accounts_this_machines_pages_and_those_that_are_named(serve: Serve) -> None:
    """A React app on another port is let in, under either name of this machine; the world's pages are not."""
    client = serve("none", cors_origins=f"{APP}, *").test_client()
    for origin in (APP, "http://localhost:3000", "http://127.0.0.1:5173"):
        asked = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        assert preflight(client, "/threads", origin=origin).headers["Access-Control-Allow-Origin"] == origin
        answer = client.post("/threads", json={}, headers=asked)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, origin)
    for origin in (OTHER, "null", "https://localhost.example.com"):
        detail(preflight(client, "/threads", origin=origin), 403)
        refused = client.post("/threads", json={}, headers={"Origin": origin})
        detail(refused, 403)
        assert "Access-Control-Allow-Origin" not in refused.headers


def test_a_named_page_may_act_for_whom_a_proxy_names(serve: Serve) -> None:
    """Another one may not, since the proxy says who is calling whatever page it is."""
    by_proxy = {"REMOTE_ADDR": "10.0.0.1"}
    for setting, origin, status in ((APP, APP, 200), (APP, OTHER, 403), ("*", APP, 403), ("", APP, 403)):
        client = serve("trusted-header", cors_origins=setting).test_client()
        asked = {"Origin": origin, "Sec-Fetch-Site": "cross-site", "X-Forwarded-User": "ada"}
        answer = client.post("/threads", json={}, headers=asked, environ_base=by_proxy)
        assert answer.status_code == status, (setting, origin)


@pytest.mark.parametrize("setting", [APP, "*"])
def test_no_page_but_our_own_signs_anybody_in(serve: Serve, backend: Backend, setting: str) -> None:
    """Whomever the settings name: a sign-in plants a cookie."""
    make_user(backend, "ada@example.com", role=Role.ADMIN)
    client = serve(cors_origins=setting).test_client()
    asked = {"email": "ada@example.com", "password": "a wrong password"}
    detail(client.post("/api/v1/auth/login", json=asked, headers={"Origin": APP}), 403)
