"""The project's Auth in the state worker: which handler is asked, and what its answers mean."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from langgraph.runtime import ServerInfo
from langgraph_sdk import Auth
from langgraph_sdk.auth.types import BaseUser

from deerflow.errors import ConfigError, HandlerFailed, HandlerRefused
from deerflow.graphs.caller import Caller
from deerflow.graphs.handlers import Handlers, Verdict
from deerflow.project import Auth as Key
from deerflow.project import Project

REQUEST = {
    "method": "POST",
    "path": "/threads/x",
    "path_params": {"thread_id": "x"},
    "query_params": {"a": "b"},
    "headers": {"authorization": "Bearer ada", "x-name": "\xe4"},
}
USER = {"identity": "ada", "permissions": ["p"], "team": "red"}


def naming(authenticate: Callable[..., Any]) -> Handlers:
    auth = Auth()
    auth.authenticate(authenticate)
    return Handlers(auth)


def named(given: Any) -> dict[str, Any]:
    async def authenticate() -> Any:
        return given() if callable(given) else given

    return asyncio.run(naming(authenticate).authenticate(REQUEST))


@dataclass
class User:
    identity: str
    permissions: tuple[str, ...] = ("p",)
    team: str = "red"


class Plain:
    def __init__(self) -> None:
        self.identity, self.permissions, self.team, self._secret = "ada", ["p"], "red", object()


@pytest.mark.parametrize(
    "given",
    [
        {"identity": "ada", "permissions": ["p"], "team": "red"},
        (["p"], {"identity": "ada", "team": "red"}),
        (["p"], {"identity": "ada", "permissions": ["other"], "team": "red"}),
        User("ada"),
        Plain,
        SimpleNamespace(identity="ada", permissions={"p"}, team="red"),
    ],
)
def test_a_user_is_named_in_every_form(given: Any) -> None:
    expected = {"display_name": "ada", "is_authenticated": True, "permissions": ["p"]}
    assert named(given) == {"identity": "ada", "team": "red", **expected}


def test_a_name_alone_is_a_user() -> None:
    assert named("ada") == {"identity": "ada", "display_name": "ada", "is_authenticated": True, "permissions": []}


@pytest.mark.parametrize("given", [None, "", 7, {}, {"identity": 7}, {"identity": ""}, "a" * 256, "a\nb", object()])
def test_who_has_no_sane_name_is_nobody(given: Any) -> None:
    with pytest.raises(HandlerFailed):
        named(given)


def test_who_is_not_authenticated_is_refused() -> None:
    with pytest.raises(HandlerRefused) as raised:
        named({"identity": "ada", "is_authenticated": False})
    assert raised.value.status == 401


def test_authenticate_gets_what_it_asks_for_by_name() -> None:
    seen: dict[str, Any] = {}

    def authenticate(  # noqa: PLR0917 - all that there is
        request, method, path, path_params, query_params, headers, authorization, other=1, **rest
    ):
        seen.update(locals())
        assert request.headers["Authorization"] == request.headers.get("AUTHORIZATION") == "Bearer ada"
        assert "X-Name" in request.headers
        return "ada"

    assert asyncio.run(naming(authenticate).authenticate(REQUEST))["identity"] == "ada"
    assert seen["headers"] == {b"authorization": b"Bearer ada", b"x-name": b"\xe4"}
    assert seen["authorization"] == "Bearer ada"
    assert (seen["method"], seen["path"], seen["path_params"]) == ("POST", "/threads/x", {"thread_id": "x"})
    assert (seen["request"].method, seen["request"].query_params, seen["rest"]) == ("POST", {"a": "b"}, {})


def test_a_parameter_that_is_not_to_be_had_is_told_at_the_start() -> None:
    with pytest.raises(ConfigError, match="authenticate asks for 'body', which it cannot have"):
        naming(lambda body: body)


@pytest.mark.parametrize("where", ["exact", "resource", "action", "global", "none"])
def test_the_most_specific_handler_is_asked_and_no_other(where: str) -> None:
    auth, asked = Auth(), []
    auth.authenticate(lambda: "ada")

    def handler(name: str) -> Any:
        async def handle(ctx: Any, value: Any) -> None:  # noqa: ARG001
            asked.append((name, ctx.resource, ctx.action))

        return handle

    places = {
        "exact": auth.on.threads.create,
        "resource": auth.on.threads,
        "action": auth.on(actions="create"),
        "global": auth.on,
        "none": auth.on.assistants,
    }
    rest = list(places)[list(places).index(where) :]
    for name in reversed(rest):
        places[name](handler(name))
    asyncio.run(Handlers(auth).authorize(USER, "threads", "create", {}))
    assert asked == ([] if where == "none" else [(where, "threads", "create")])


def authorized(handle: Callable[[Any, Any], Any], value: dict[str, Any] | None = None) -> Verdict:
    auth = Auth()
    auth.authenticate(lambda: "ada")

    @auth.on
    async def handler(ctx: Any, value: Any) -> Any:
        return handle(ctx, value)

    return asyncio.run(Handlers(auth).authorize(USER, "threads", "read", value or {}))


@pytest.mark.parametrize(("answer", "told"), [(None, None), (True, None), ({}, {}), ({"a": "b"}, {"a": "b"})])
def test_what_lets_through(answer: Any, told: dict[str, Any] | None) -> None:
    assert authorized(lambda _ctx, _value: answer).filter == told


@pytest.mark.parametrize("answer", ["yes", 1, 0, [], object()])
def test_an_answer_that_is_none_lets_nobody_through(answer: Any) -> None:
    with pytest.raises(HandlerFailed):
        authorized(lambda _ctx, _value: answer)


def raising(error: Exception) -> Callable[[Any, Any], Any]:
    def handle(_ctx: Any, _value: Any) -> Any:
        raise error

    return handle


class HTTPException(Exception):
    """As other frameworks have it."""

    def __init__(self, status_code: int, detail: str) -> None:
        self.status_code, self.detail = status_code, detail


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (AssertionError("Not so"), 403, "Not so"),
        (AssertionError(), 403, "Forbidden"),
        (Auth.exceptions.HTTPException(status_code=404, detail="Gone"), 404, "Gone"),
        (Auth.exceptions.HTTPException(), 401, "Unauthorized"),
        (HTTPException(403, "Theirs"), 403, "Theirs"),
    ],
)
def test_a_refusal_keeps_its_status_and_words(error: Exception, status: int, told: str) -> None:
    with pytest.raises(HandlerRefused, match=told) as raised:
        authorized(raising(error))
    assert raised.value.status == status


@pytest.mark.parametrize("error", [RuntimeError("x"), HTTPException(500, "x"), HTTPException(200, "x"), KeyError("x")])
def test_what_breaks_lets_nobody_through(error: Exception) -> None:
    with pytest.raises(HandlerFailed):
        authorized(raising(error))


def test_ids_are_uuids_and_what_is_changed_is_kept() -> None:
    thread_id = uuid4()

    def handle(ctx: Any, value: Any) -> None:
        assert value["thread_id"] == thread_id
        assert isinstance(value["thread_id"], UUID)
        value["metadata"]["owner"] = ctx.user.identity
        value["metadata"]["tags"] = {ctx.user["team"]}

    verdict = authorized(handle, {"thread_id": str(thread_id), "metadata": {}})
    assert verdict.value == {"thread_id": str(thread_id), "metadata": {"owner": "ada", "tags": ["red"]}}


def test_a_caller_is_the_sdks_user_and_a_dictionary() -> None:
    caller = Caller(USER)
    assert isinstance(caller, BaseUser)
    assert (caller.identity, caller.display_name, caller.permissions, caller.team) == ("ada", "ada", ["p"], "red")
    assert (caller["team"], "team" in caller, dict(caller)) == ("red", True, USER)
    assert not hasattr(caller, "shape")
    assert ServerInfo("a", "g", caller).user is caller


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("auth = 7", "it is a int, not a langgraph_sdk.Auth"),
        ("from langgraph_sdk import Auth\nauth = Auth()", "has no @auth.authenticate"),
        ("import nothing_like_that", "ModuleNotFoundError: No module named 'nothing_like_that'"),
        ("other = 1", "has no attribute 'auth'"),
    ],
)
def test_handlers_that_cannot_be_used_are_told_in_a_sentence(tmp_path: Path, source: str, told: str) -> None:
    (tmp_path / "auth.py").write_text(source)
    with pytest.raises(ConfigError, match=told) as raised:
        Handlers.load(Project(tmp_path, {}, auth=Key("./auth.py:auth")))
    assert str(raised.value).startswith("langgraph.json's auth (./auth.py:auth): ")


def test_a_project_without_auth_has_no_handlers(tmp_path: Path) -> None:
    assert Handlers.load(Project(tmp_path, {})) is None
