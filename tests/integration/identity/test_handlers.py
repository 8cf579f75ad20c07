"""The project's own handlers: who is calling, what they may do, and that nobody comes in beside them."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from deerflow import project
from deerflow.api.mounts import Mount
from deerflow.backend import Backend
from deerflow.domain.principal import Principal, Role
from deerflow.errors import HandlerFailed, HandlerRefused, Unavailable
from deerflow.graphs.handlers import Handlers
from deerflow.identity import handlers
from deerflow.runtime import ask
from deerflow.runtime.tick import tick
from deerflow.settings import Settings
from deerflow.storage import models, runs, threads
from deerflow.storage.types import now
from tests.factories import at_once, claim_run, make_app, make_key, make_user
from tests.integration.api.conftest import by_mount, detail
from tests.integration.events.telling import begin
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.conftest import SECRET

PROJECT = Path(__file__).parents[2] / "projects" / "custom_auth" / "langgraph.json"
ADA = Principal("auth:ada", frozenset())
Caller = Callable[..., FlaskClient]


@pytest.fixture(params=["none", "accounts"])
def mode(request: pytest.FixtureRequest) -> str:
    """The mode that handlers are combined with."""
    return str(request.param)


@pytest.fixture
def served(settings: Settings, mode: str) -> Settings:
    remembered = {"auth_cache_seconds": 300}  # however long a test takes
    return settings.model_copy(update={"auth": mode, "secret": SECRET, "config": PROJECT, **remembered})


@pytest.fixture
def bell(served: Settings) -> AnsweringBell:
    return AnsweringBell(served.redis_url, Handlers.load(project.load(PROJECT)))


@pytest.fixture
def app(served: Settings, backend: Backend) -> Flask:
    return make_app(served, backend)


@pytest.fixture
def as_(app: Flask) -> Caller:
    """A client that sends this token."""

    def client(name: str, **headers: str) -> FlaskClient:
        made = app.test_client()
        made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {name}"
        made.environ_base |= {f"HTTP_{key.upper()}": value for key, value in headers.items()}
        return made

    return client


def make(client: FlaskClient, **metadata: Any) -> str:
    answer = client.post("/threads", json={"metadata": metadata})
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["thread_id"])


def start(client: FlaskClient, thread: str, **fields: Any) -> str:
    answer = client.post(f"/threads/{thread}/runs", json={"assistant_id": "who", **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["run_id"])


# Who is calling


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


# What is remembered


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


# What they may do


def test_what_a_handler_adds_is_stored_and_what_a_client_claims_is_not(as_: Caller) -> None:
    """scenario 43"""
    thread = make(as_("ada"), owner="eve", created_by="eve", colour="green")
    shown = as_("ada").get(f"/threads/{thread}").get_json()["metadata"]
    assert shown == {"owner": "ada", "team": "red", "colour": "green"}
    answer = as_("ada").patch(f"/threads/{thread}", json={"metadata": {"owner": "eve", "shape": "round"}})
    assert answer.get_json()["metadata"] == {**shown, "shape": "round"}
    run = start(as_("ada"), thread, metadata={"owner": "eve", "x": 1})
    shown = as_("ada").get(f"/threads/{thread}/runs/{run}").get_json()
    assert {name: shown["metadata"][name] for name in ("owner", "team", "x")} == {"owner": "ada", "team": "red", "x": 1}
    assert shown["kwargs"]["config"]["tags"] == ["by-handler"]


def test_handlers_refuse_in_four_ways(as_: Caller) -> None:
    client = as_("bob")
    assert detail(client.post("/threads", json={"metadata": {"odd": 1}}), 403) == "No odd threads"
    assert detail(client.post("/threads", json={"metadata": {"taken": 1}}), 409) == "Taken by the handler"
    thread = make(client)
    assert detail(client.delete(f"/threads/{thread}"), 403) == "Forbidden"
    broken = client.patch(f"/threads/{thread}", json={"metadata": {"filter": "broken"}})
    assert detail(broken, 500).startswith("Internal Server Error (")
    assert client.get(f"/threads/{thread}").get_json()["metadata"] == {"owner": "bob", "team": "red"}


def test_a_filter_takes_the_place_of_the_owner(as_: Caller) -> None:
    """The team reads and runs, the owner alone changes, all others find nothing."""
    ada, bob, eve = as_("ada"), as_("bob"), as_("eve")
    thread = make(ada)
    run = start(bob, thread)
    absent = f"/threads/{uuid4()}"
    for path in (f"/threads/{thread}", f"/threads/{thread}/runs", f"/threads/{thread}/runs/{run}"):
        assert ada.get(path).status_code == bob.get(path).status_code == 200
        assert eve.get(path).status_code == eve.get(absent).status_code == 404
    patch = {"metadata": {"a": 1}}
    assert [who.patch(f"/threads/{thread}", json=patch).status_code for who in (bob, eve, ada)] == [404, 404, 200]
    assert eve.post(f"/threads/{thread}/runs", json={"assistant_id": "who"}).status_code == 404
    assert [who.delete(f"/threads/{thread}").status_code for who in (bob, eve, ada)] == [403, 404, 204]


def test_searches_find_what_the_filter_matches(as_: Caller) -> None:
    theirs = {name: make(as_(name)) for name in ("ada", "bob", "eve")}

    def found(name: str, **asked: Any) -> set[str]:
        answer = as_(name).post("/threads/search", json=asked)
        assert as_(name).post("/threads/count", json=asked).get_json() == len(answer.get_json())
        return {thread["thread_id"] for thread in answer.get_json()}

    assert found("ada") == found("bob") == {theirs["ada"], theirs["bob"]}
    assert found("ada", metadata={"owner": "bob"}) == {theirs["bob"]}
    assert found("eve") == {theirs["eve"]}
    assert found("eve", metadata={"team": "red"}) == set()
    assert found("root") == set(theirs.values())


CRON = {"assistant_id": "who", "schedule": "0 0 1 1 *"}


def test_a_cron_is_asked_about_as_a_cron_and_as_runs(as_: Caller, backend: Backend) -> None:
    """scenario 52: what each handler leaves is stored, and the runs are the creator's."""
    ada = as_("ada")
    claims = {"owner": "eve", "created_by": "eve", "x": 1}
    cron = ada.post("/runs/crons", json={**CRON, "metadata": claims, "on_run_completed": "keep"}).get_json()
    stamped = {"owner": "ada", "by": "cron-handler", "x": 1}
    assert (cron["metadata"], cron["user_id"]) == (stamped, "ada")
    assert cron["payload"]["metadata"] == {**stamped, "team": "red"}
    assert cron["payload"]["config"]["tags"] == ["by-cron-handler", "by-handler"]
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.crons).values(next_run_at=now(-1.0)))
    tick(backend)
    (thread,) = as_("bob").post("/threads/search", json={"metadata": {"cron_id": cron["cron_id"]}}).get_json()
    (run,) = ada.get(f"/threads/{thread['thread_id']}/runs").get_json()
    with backend.db.read() as tx:
        row = runs.get(tx, Principal("auth:ada", frozenset()), UUID(thread["thread_id"]), UUID(run["run_id"]))
    assert row.kwargs["user"]["token"] == "of-ada-alone"
    assert row.metadata["team"] == "red"


def test_no_cron_does_what_its_creator_may_not(as_: Caller) -> None:
    """scenario 52: either handler can refuse it; a cron acts as its creator, so not on a team mate's thread."""
    ada, bob, eve = as_("ada"), as_("bob"), as_("eve")
    assert detail(ada.post("/runs/crons", json={**CRON, "schedule": "* * * * *"}), 403) == "Not every minute"
    assert detail(ada.post("/runs/crons", json={**CRON, "input": {"refuse": True}}), 403) == "Forbidden"
    path = f"/threads/{make(bob)}/runs/crons"
    assert "somebody else's" in detail(ada.post(path, json=CRON), 409)
    assert eve.post(path, json=CRON).status_code == 404
    cron = f"/runs/crons/{bob.post(path, json=CRON).get_json()['cron_id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert detail(ada.open(cron, method=method, json={"enabled": False}), 404) == "Cron not found"
    assert [len(who.post("/runs/crons/search", json={}).get_json()) for who in (ada, bob, eve)] == [0, 1, 0]
    disabled = bob.patch(cron, json={"enabled": False}).get_json()
    assert (disabled["enabled"], disabled["payload"]["metadata"]["team"]) == (False, "red")


def test_stateless_runs_and_batches_are_asked_about_one_by_one(as_: Caller) -> None:
    ada, eve = as_("ada"), as_("eve")
    one, refused = {"assistant_id": "who"}, {"assistant_id": "who", "input": {"refuse": True}}
    assert ada.post("/runs", json=one).status_code == 200
    assert detail(ada.post("/runs", json=refused), 403) == "Forbidden"
    assert detail(ada.post("/runs/batch", json=[one, refused]), 403) == "Forbidden"
    made = ada.post("/runs/batch", json=[one, {**one, "metadata": {"owner": "eve", "n": 2}}]).get_json()
    assert [run["metadata"]["owner"] for run in made] == ["ada", "ada"]
    assert made[1]["metadata"]["n"] == 2
    for path in (f"/runs/{made[0]['run_id']}/stream", f"/threads/{made[0]['thread_id']}/runs"):
        assert eve.get(path).status_code == 404
    assert ada.get(f"/threads/{made[0]['thread_id']}/runs").status_code == 200


NO_OBJECT = (b"[]", b"[1]", b"7", b"{", b'[{"a":1}, null]', b"[" * 300, b'[{"assistant_id": "who"}]')
NO_LIST_OF_RUNS = (b"[]", b"{}", b"[1]", b"null", b'[{"assistant_id": "who"}, null]', b"[{}" + 100 * b",{}" + b"]")


@pytest.mark.parametrize(
    ("paths", "bodies"),
    [(("/runs", "/threads", "/threads/search", "/runs/cancel"), NO_OBJECT), (("/runs/batch",), NO_LIST_OF_RUNS)],
    ids=["object", "list of runs"],
)
def test_what_has_the_wrong_shape_gets_past_no_handler(
    as_: Caller, paths: tuple[str, ...], bodies: tuple[bytes, ...]
) -> None:
    ada = as_("ada")
    answers = {
        (path, body): ada.post(path, data=body, content_type="application/json") for path in paths for body in bodies
    }
    assert {asked: answer.status_code for asked, answer in answers.items()} == dict.fromkeys(answers, 422)


def test_cancels_follow_the_handler_for_updates(as_: Caller, backend: Backend) -> None:
    """A team mate reads a run and does not stop it: by its id, by many, all of them, or on the way of a stream."""
    ada, bob = as_("ada"), as_("bob")
    thread = make(ada)
    run = start(ada, thread)
    path = f"/threads/{thread}/runs/{run}"
    many = {"thread_id": thread, "run_ids": [run]}
    tries = [
        lambda who: who.post(f"{path}/cancel"),
        lambda who: who.post("/runs/cancel", json=many),
        lambda who: who.post("/runs/cancel", json={"status": "all"}),
        lambda who: who.delete(path),
    ]
    assert [each(bob).status_code for each in tries] == [404, 404, 404, 403]
    with backend.db.read() as tx:
        assert runs.get(tx, ADA, UUID(thread), UUID(run)).cancel_action is None
    assert tries[2](ada).status_code == 204
    assert ada.get(path).get_json()["status"] == "interrupted"


def test_a_stream_with_an_action_asks_about_both(as_: Caller, backend: Backend) -> None:
    """Joining is reading; ``action`` and ``cancel_on_disconnect`` are changes, and asked about as such."""
    thread = make(as_("ada"))
    run = start(as_("ada"), thread)
    with backend.db.read() as tx:
        row = runs.get(tx, ADA, UUID(thread), UUID(run))
    assert claim_run(backend, row) is not None
    answer = as_("bob").get(f"/threads/{thread}/runs/{run}/stream?action=interrupt", buffered=False)
    answer.close()
    with backend.db.read() as tx:
        assert runs.get(tx, ADA, UUID(thread), UUID(run)).cancel_action is None


def test_what_the_graph_learns_of_its_caller_is_kept_back_from_everybody(as_: Caller, backend: Backend) -> None:
    """The whole user lies in the run's row, for the worker; a team mate does not find the token there."""
    thread = make(as_("ada"))
    run = start(as_("ada"), thread, after_seconds=600)
    with backend.db.read() as tx:
        assert runs.get(tx, ADA, UUID(thread), UUID(run)).kwargs["user"]["token"] == "of-ada-alone"
    for path in (f"/threads/{thread}/runs/{run}", f"/threads/{thread}/runs", f"/threads/{thread}"):
        for name in ("bob", "ada"):
            assert "of-ada-alone" not in as_(name).get(path).text


def test_system_assistants_stay_readable(as_: Caller) -> None:
    assert "who" in {found["graph_id"] for found in as_("eve").post("/assistants/search", json={}).get_json()}


def test_commands_are_asked_about_as_the_runs_that_they_create(as_: Caller) -> None:
    """The handler sees the run's own body, and what it leaves is what is stored."""
    ada, eve, thread = as_("ada"), as_("eve"), uuid4()

    def command(client: FlaskClient, method: str = "run.start", **params: Any) -> Any:
        body = {"id": 1, "method": method, "params": params}
        return client.post(f"/threads/{thread}/commands", json=body)

    started = command(ada, assistant_id="who", input={}, metadata={"owner": "eve", "x": 1}).get_json()
    shown = ada.get(f"/threads/{thread}/runs/{started['result']['run_id']}").get_json()
    assert {name: shown["metadata"][name] for name in ("owner", "team", "x")} == {"owner": "ada", "team": "red", "x": 1}
    assert (shown["kwargs"]["config"]["tags"], shown["kwargs"]["protocol"]) == (["by-handler"], "v2")
    assert command(as_("bob"), assistant_id="who", input={}).get_json()["type"] == "success"
    assert detail(command(ada, assistant_id="who", input={"refuse": True}), 403) == "Forbidden"
    assert command(eve, assistant_id="who", input={}).get_json()["message"].startswith("409: Thread with ID")
    assert command(eve, "input.respond", interrupt_id="i", response=1).get_json()["error"] == "no_such_run"


def test_a_threads_stream_tells_who_the_filter_lets_read(as_: Caller, backend: Backend) -> None:
    thread = make(as_("ada"))
    start(as_("bob"), thread)
    with backend.db.read() as tx:
        (run,) = runs.inflight(tx, UUID(thread))
    claimed = claim_run(backend, run)
    assert claimed is not None
    begin(backend, claimed)
    quick = replace(backend, rules=replace(backend.rules, heartbeat_seconds=0.05))
    for name, heard in {"ada": b"event: lifecycle", "bob": b"event: lifecycle", "eve": b": heartbeat"}.items():
        client = as_(name)
        client.application.extensions["deerflow"] = quick
        body = {"channels": ["lifecycle"]}
        with closing(client.post(f"/threads/{thread}/stream/events", json=body, buffered=False)) as answer:
            assert next(chunk for chunk in answer.iter_encoded() if chunk).startswith(heard), name


def test_a_pages_form_is_asked_about_as_well(as_: Caller, app: Flask, backend: Backend) -> None:
    """It is no JSON: the handler is shown what the path names; its filter holds, and what it stamps is kept."""
    thread = make(as_("ada"))
    start(as_("ada"), thread)
    with backend.db.begin() as tx:
        asked = {"t": [{"id": "1" * 32, "value": "ok?"}]}
        tx.execute(sa.delete(models.runs))
        tx.execute(sa.update(models.threads).values(status="interrupted", interrupts=asked))
    form = {"interrupt": "1" * 32, "press.0.0": "yes"}
    assert as_("eve").post(f"/console/approvals/{thread}", data=form).status_code == 404
    assert as_("ada").post(f"/console/approvals/{thread}", data=form).status_code == 303
    with backend.db.read() as tx:
        (metadata,) = tx.scalars(sa.select(models.runs.c.metadata))
    assert (metadata["owner"], metadata["team"]) == ("ada", "red")
    app.config["WTF_CSRF_ENABLED"] = False
    made = as_("ada").post("/console/agents/new", data={"graph_id": "who", "name": "Mine"})
    assert made.status_code in {303, 403}, made.text
    if made.status_code == 303:
        assert "Mine" in as_("ada").get(made.headers["Location"]).text


def test_the_first_page_is_the_threads_also_for_whom_a_handler_names(as_: Caller) -> None:
    assert as_("ada").get("/console/").headers["Location"] == "/console/threads"


def test_the_list_of_runs_says_whose_they_are(as_: Caller, backend: Backend) -> None:
    """What a filter shows of others is not the reader's, and the names of their keys are nobody else's."""
    user = make_user(backend, "kim@example.com")
    make_key(backend, user)
    run = start(as_("ada"), make(as_("ada")))
    assert ">ada</span></span>" in as_("bob").get("/console/runs").text
    with backend.db.begin() as tx:
        mine = models.runs.c.run_id == UUID(run)
        key = sa.select(models.api_keys.c.key_id).scalar_subquery()
        tx.execute(sa.update(models.runs).where(mine).values(owner=user.owner, key_id=key))
    for page in ("/console/runs", f"/console/runs/{run}"):
        seen = as_("bob").get(page)
        assert seen.status_code == 200
        assert user.owner in seen.text
        assert "of a test" not in seen.text


def test_the_page_of_a_run_names_its_thread_to_the_handler(as_: Caller, bell: AnsweringBell) -> None:
    """As the API's path does. A run that is not there, and one that is somebody else's, look the same."""
    thread = make(as_("ada"))
    run, nobodys = start(as_("ada"), thread), str(uuid4())
    for path in ("", "/stop", "/again"):
        method = "post" if path else "get"
        getattr(as_("ada"), method)(f"/console/runs/{run}{path}")
        shown = [each["values"] for each in bell.asked if each["kind"] == "authorize"][-1]
        assert (shown[0]["thread_id"], shown[0]["run_id"]) == (thread, run), path
        answers = [getattr(as_("eve"), method)(f"/console/runs/{each}{path}").status_code for each in (run, nobodys)]
        assert answers == [404, 404], path
        assert UUID(bell.asked[-1]["values"][0]["thread_id"]) != UUID(thread), path


def test_a_page_that_deletes_several_names_them_to_the_handler(as_: Caller, bell: AnsweringBell) -> None:
    """As the API does: who looks at what is to be deleted refuses the same on both ways."""
    ticked = [make(as_("ada")) for _ in range(2)]
    for path, action in (("delete", "delete"), ("export", "read")):
        as_("ada").post(f"/console/threads/{path}", data={"thread": ticked})
        shown = [each["values"] for each in bell.asked if each["kind"] == "authorize" and each["action"] == action]
        assert [value["thread_ids"] for (value,) in shown] == [ticked], path
    run = str(uuid4())
    as_("ada").post("/console/runs/stop", data={"run": run})
    assert bell.asked[-1]["values"] == [{"run_ids": [run], "metadata": {}}]
