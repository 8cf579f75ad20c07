"""The project's own handlers and assistants: what they stamp is stored, and what they filter is not there."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from langgraph_sdk import Auth

from deerflow.backend import Backend
from deerflow.domain.assistants import system_assistant_id
from deerflow.graphs.handlers import Handlers
from deerflow.settings import Settings
from tests.factories import make_app
from tests.integration.api.conftest import detail
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.handlers.conftest import PROJECT, Caller

TEAMS = {"ada": "red", "bob": "red", "eve": "blue", "root": "all"}

auth = Auth()


@auth.authenticate
async def authenticate(authorization: str | None) -> dict[str, Any]:
    name = (authorization or "").removeprefix("Bearer ")
    return {"identity": name, "team": TEAMS[name]}


@auth.on
async def nothing_else(ctx: Any, value: Any) -> bool:  # noqa: ARG001 - the SDK gives both
    return ctx.user.identity != "bob"


@auth.on.assistants
async def the_team(ctx: Any, value: Any) -> dict[str, Any] | None:  # noqa: ARG001
    return {} if ctx.user.identity == "root" else {"team": ctx.user.team}


@auth.on.assistants.create
async def stamped(ctx: Any, value: Any) -> None:
    if "odd" in value["metadata"]:
        raise Auth.exceptions.HTTPException(status_code=403, detail="No odd assistants")
    assert value["graph_id"]
    value["metadata"] |= {"owner": ctx.user.identity, "team": ctx.user.team}


@auth.on.assistants.update
async def the_owner(ctx: Any, value: Any) -> dict[str, Any] | None:
    value["metadata"] |= {"changed_by": ctx.user.identity}
    return None if ctx.user.identity == "root" else {"owner": ctx.user.identity}


@auth.on.assistants.delete
async def the_owner_too(ctx: Any, value: Any) -> dict[str, Any]:
    assert value["assistant_id"]
    return {} if ctx.user.identity == "root" else {"owner": ctx.user.identity}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"config": PROJECT})


@pytest.fixture
def bell(settings: Settings) -> AnsweringBell:
    return AnsweringBell(settings.redis_url, Handlers(auth))


@pytest.fixture
def as_(settings: Settings, backend: Backend) -> Caller:
    app: Flask = make_app(settings, backend)

    def client(name: str) -> FlaskClient:
        made = app.test_client()
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {name}"
        return made

    return client


def make(client: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/assistants", json={"graph_id": "who", **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.get_json()
    return made


def test_what_a_handler_adds_is_stored_and_what_a_client_claims_is_not(as_: Caller) -> None:
    """scenario 43"""
    made = make(as_("ada"), metadata={"owner": "eve", "colour": "green"})
    assert made["metadata"] == {"owner": "ada", "team": "red", "colour": "green"}
    path = f"/assistants/{made['assistant_id']}"
    changed = as_("ada").patch(path, json={"metadata": {"owner": "eve", "changed_by": "eve"}}).get_json()
    assert changed["metadata"] == {**made["metadata"], "changed_by": "ada"}
    assert as_("bob").get(path).get_json() == changed
    refused = as_("ada").post("/assistants", json={"graph_id": "who", "metadata": {"odd": 1}})
    assert detail(refused, 403) == "No odd assistants"


def test_a_filter_takes_the_place_of_the_owner(as_: Caller) -> None:
    """The team reads, the owner alone changes and deletes, all others find nothing."""
    made = make(as_("ada"))
    path, absent = f"/assistants/{made['assistant_id']}", f"/assistants/{uuid4()}"
    everybody = ("ada", "bob", "eve", "root")

    def statuses(call: Callable[[FlaskClient], Any]) -> list[int]:
        return [call(as_(name)).status_code for name in everybody]

    assert statuses(lambda who: who.get(path)) == [200, 200, 404, 200]
    assert statuses(lambda who: who.post(f"{path}/versions", json={})) == [200, 200, 404, 200]
    assert statuses(lambda who: who.get(absent)) == [404] * 4
    for client in (as_("bob"), as_("eve")):
        assert client.patch(path, json={"name": "x"}).status_code == 404
        assert client.post(f"{path}/latest", json={"version": 1}).status_code == 404
        assert client.delete(path).status_code == 404
    assert as_("ada").patch(path, json={"name": "x"}).status_code == 200
    assert as_("ada").post(f"{path}/latest", json={"version": 1}).get_json()["name"] == "Untitled"
    assert [as_(name).delete(path).status_code for name in ("eve", "root")] == [404, 204]


def test_searches_and_counts_follow_the_filter(as_: Caller) -> None:
    made = {name: make(as_(name))["assistant_id"] for name in ("ada", "bob", "eve")}

    def found(who: str, **asked: Any) -> set[str]:
        answer = as_(who).post("/assistants/search", json={"limit": 99, **asked}).get_json()
        assert as_(who).post("/assistants/count", json=asked).get_json() == len(answer)
        return {each["assistant_id"] for each in answer}

    assert found("ada") == found("bob") == {made["ada"], made["bob"]}
    assert found("eve") == found("eve", name="untitled") == {made["eve"]}
    assert found("ada", metadata={"owner": "bob"}, name="UN") == {made["bob"]}
    assert found("root") > set(made.values())


def test_a_filter_that_matches_everything_makes_no_administrator(as_: Caller) -> None:
    key = system_assistant_id("who")
    assert "administrators" in detail(as_("root").patch(f"/assistants/{key}", json={"name": "x"}), 403)
    assert as_("ada").patch(f"/assistants/{key}", json={"name": "x"}).status_code == 404
    assert "langgraph.json" in detail(as_("root").delete(f"/assistants/{key}"), 403)


def test_deleting_threads_along_is_asked_about_as_well(as_: Caller) -> None:
    """Who may delete assistants and no threads is refused before anything is gone."""
    for name, status in (("bob", 403), ("ada", 204)):
        path = f"/assistants/{make(as_(name))['assistant_id']}"
        assert as_(name).delete(f"{path}?delete_threads=true").status_code == status
        assert as_(name).get(path).status_code == (200 if status == 403 else 404)
