"""The project's own handlers and who calls: whom they name comes in, nobody beside them, and what is remembered."""

from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from deerflow.api.mounts import Mount
from deerflow.backend import Backend
from deerflow.domain.principal import Role
from deerflow.errors import HandlerFailed, HandlerRefused, Unavailable
from deerflow.identity import handlers
from deerflow.runtime import ask
from deerflow.settings import Settings
from deerflow.storage import threads
from tests.factories import at_once, make_app, make_key, make_user
from tests.integration.api.conftest import by_mount, detail
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.handlers.conftest import ADA, PROJECT, Caller, make, start


@pytest.mark.parametrize(
    ("headers", "status", "told"),
    [
        ({}, 401, "Bring a token"),
        ({"Authorization": "Bearer banned"}, 403, "You are banned"),
        ({"Authorization": "Bearer ada", "x-shape": "odd"}, 401, "An odd shape"),
        ({"x-auth-scheme": "langsmith"}, 401, "Bring a token"),
        ({"x-auth-scheme": "langsmith", "x-api-key": "lsv2_pt_x", "x-user-id": "ada"}, 401, "Bring a token"),
    ],
)
@by_mount
def test_who_is_not_named_is_answered_in_the_handlers_words(
    app: Flask, mount: Mount, headers: dict[str, str], status: int, told: str
) -> None:
    """scenario 39"""
    answer = app.test_client().post(f"{mount.prefix}/threads/search", json={}, headers=headers)
    assert detail(answer, status) == told
    if told == "Bring a token":
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["teapot", "unknown", "nobody"])
def test_a_broken_handler_lets_nobody_in_and_tells_nothing(as_: Caller, name: str) -> None:
    """Another status, another exception, a user without a name."""
    assert detail(as_(name).post("/threads", json={}), 500).startswith("Internal Server Error (")


@pytest.mark.parametrize("path", ["/", "/ok", "/info"])
@by_mount
def test_public_routes_ask_nobody(app: Flask, bell: AnsweringBell, mount: Mount, path: str) -> None:
    assert app.test_client().get(mount.prefix + path).status_code == 200
    assert bell.asked == []


def test_without_a_state_worker_nobody_comes_in(as_: Caller, bell: AnsweringBell, monkeypatch: Any) -> None:
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 0.2)
    bell.away = True
    answer = as_("ada").post("/threads", json={})
    assert "state worker" in detail(answer, 503)
    assert answer.headers["Retry-After"] == "5"
    bell.away = False
    assert as_("ada").post("/threads", json={}).status_code == 200


def test_a_handler_that_hangs_is_given_up_and_told(as_: Caller, bell: AnsweringBell, monkeypatch: Any) -> None:
    """A state worker is there; what it waits for is not. The next caller finds it free."""
    monkeypatch.setattr("deerflow.runtime.answer._TO_TELL_SECONDS", 5.0)
    monkeypatch.setattr(ask, "_PATIENCE_SECONDS", 5.2)
    answer = as_("slow").post("/threads", json={})
    assert detail(answer, 503) == "The project's authentication has not answered in time; try again"
    assert bell.kinds("authenticate") == 1
    monkeypatch.undo()
    assert as_("ada").post("/threads", json={}).status_code == 200


def test_what_is_named_owns_what_it_makes_under_a_name_of_its_own(as_: Caller, backend: Backend) -> None:
    """``auth:`` goes before it, so that it never is an account, ``local`` or ``system``."""
    thread = make(as_("ada"))
    with backend.db.read() as tx:
        assert threads.get(tx, ADA, UUID(thread)).owner == "auth:ada"


@pytest.mark.parametrize("name", ["plain", "pair", "typed"])
def test_handlers_name_users_in_every_form(as_: Caller, name: str) -> None:
    assert as_(name).post("/assistants/search", json={}).status_code == 200


@pytest.mark.parametrize("mode", ["accounts"], indirect=True)
def test_keys_of_accounts_go_beside_handlers(as_: Caller, app: Flask, backend: Backend) -> None:
    """A key of ours is an account's, in either header; a bad one is not passed on to the handlers."""
    make_user(backend, "admin@example.com", role=Role.ADMIN)  # set-up is finished
    key = make_key(backend, make_user(backend, "owner@example.com"))
    thread = make(as_(key))
    assert app.test_client().get(f"/threads/{thread}", headers={"x-api-key": key}).status_code == 200
    assert as_("root", x_api_key=key).get(f"/threads/{thread}").status_code == 200
    assert as_("ada").get(f"/threads/{thread}").status_code == 404
    assert as_("root").get(f"/threads/{thread}").status_code == 200  # their filter matches everything
    assert as_("df_unknown").post("/threads", json={}).status_code == 401


@pytest.mark.parametrize("mode", ["accounts"], indirect=True)
def test_handlers_need_no_set_up(as_: Caller, app: Flask, backend: Backend) -> None:
    """Whom they name waits for no administrator; an account's caller does, and so nobody is one meanwhile."""
    key = make_key(backend, make_user(backend, "owner@example.com"))
    assert as_("ada").post("/threads", json={}).status_code == 200
    assert "Set-up" in detail(app.test_client().post("/threads", json={}, headers={"x-api-key": key}), 401)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://example.org"}, {"Origin": "null"}],
    ids=str,
)
def test_a_page_of_another_site_changes_nothing_with_what_a_browser_adds(app: Flask, headers: dict[str, str]) -> None:
    client = app.test_client()
    client.set_cookie("session", "ada")
    for credential in ({}, {"Authorization": "Basic ada"}):
        assert client.post("/threads", json={}, headers={**headers, **credential}).status_code == 403
    assert client.post("/threads", json={}, headers={**headers, "Authorization": "Bearer ada"}).status_code == 200


@pytest.mark.parametrize(
    ("verdict", "ends"),
    [
        (HandlerRefused("You are banned", status=403), True),
        (HandlerRefused("Your token has expired", status=401), True),
        (HandlerRefused("Come back later", status=429), False),
        (HandlerFailed("broken"), False),
        (Unavailable("No state worker answers"), False),
        (ZeroDivisionError(), False),
    ],
    ids=repr,
)
def test_open_streams_end_when_the_handler_refuses_their_caller(
    served: Settings, backend: Backend, monkeypatch: pytest.MonkeyPatch, *, verdict: Exception, ends: bool
) -> None:
    """It is asked again while they are open; a state worker that is away, or a broken handler, ends none."""
    object.__setattr__(backend, "rules", replace(backend.rules, heartbeat_seconds=0.05))
    app = make_app(served.model_copy(update={"auth_cache_seconds": 0}), backend)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Bearer ada"
    thread = make(client)
    answer = client.get(f"/threads/{thread}/runs/{start(client, thread)}/stream")
    chunks = answer.iter_encoded()
    assert b"heartbeat" in b"".join(islice(chunks, 3))
    asked: list[bool] = []

    def refuse(*_: object, **__: object) -> None:
        asked.append(True)
        raise verdict

    monkeypatch.setattr(handlers, "ask", refuse)
    if ends:
        with pytest.raises(ConnectionResetError):
            list(islice(chunks, 400))
    else:
        assert any(asked for _ in islice(chunks, 400))
        assert len(list(islice(chunks, 5))) == 5
    assert asked
    answer.close()


def test_who_is_calling_is_asked_once_in_a_while(as_: Caller, bell: AnsweringBell) -> None:
    """But for each credential, and for each header that the handler may look at."""
    for _ in range(3):
        as_("ada").get(f"/threads/{uuid4()}")
    assert bell.kinds("authenticate") <= 2  # the first answer tells what the handler looks at
    before = bell.kinds("authenticate")
    as_("bob").get(f"/threads/{uuid4()}")
    as_("ada", x_tenant="other").get(f"/threads/{uuid4()}")
    assert bell.kinds("authenticate") == before + 2


def test_who_asks_the_same_at_once_waits_for_one_answer(as_: Caller, bell: AnsweringBell) -> None:
    as_("ada").get(f"/threads/{uuid4()}")
    before = bell.kinds("authenticate")
    at_once(*[lambda: as_("bob").get(f"/threads/{uuid4()}") for _ in range(8)])
    assert bell.kinds("authenticate") <= before + 2


def test_nothing_is_remembered_when_the_setting_says_so(
    settings: Settings, backend: Backend, bell: AnsweringBell
) -> None:
    app = make_app(settings.model_copy(update={"config": PROJECT, "auth_cache_seconds": 0}), backend)
    for _ in range(3):
        app.test_client().get(f"/threads/{uuid4()}", headers={"Authorization": "Bearer ada"})
    assert bell.kinds("authenticate") == 3
