"""The project's own handlers and what callers may do: what they stamp is stored, what they filter is not there."""

from contextlib import closing
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.principal import Principal
from deerflow.runtime.tick import tick
from deerflow.storage import models, runs
from deerflow.storage.types import now
from tests.factories import claim_run
from tests.integration.api.conftest import detail
from tests.integration.events.telling import begin
from tests.integration.identity.handlers.conftest import ADA, Caller, make, start


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
