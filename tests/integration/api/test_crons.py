"""Crons as clients see them: what is created, changed, found and refused."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from deerflow.api.mounts import Mount
from deerflow.backend import Backend
from deerflow.domain.assistants import system_assistant_id
from deerflow.domain.principal import LOCAL
from deerflow.identity import local
from deerflow.storage import models
from tests.factories import LOCAL_USER, TEAM_MATE, at_once, make_thread
from tests.integration.api.conftest import by_mount, detail

STEPS = str(system_assistant_id("steps"))
DAILY: dict[str, Any] = {"assistant_id": "steps", "schedule": "0 5 * * *"}
EVERYTHING: dict[str, Any] = {
    **DAILY,
    "input": {"a": 1},
    "metadata": {"m": 1},
    "config": {"configurable": {"x": 1}, "tags": ["t"], "recursion_limit": 7},
    "stream_mode": ["values", "updates"],
    "stream_subgraphs": True,
    "stream_resumable": True,
    "durability": "sync",
    "interrupt_before": ["one"],
    "interrupt_after": "*",
    "webhook": "https://example.org/hook",
    "timezone": "Europe/Berlin",
    "end_time": "2040-01-01T00:00:00+01:00",
}


def make(web: FlaskClient, path: str = "/runs/crons", **fields: Any) -> dict[str, Any]:
    answer = web.post(path, json={**DAILY, **fields})
    assert answer.status_code == 200, answer.text
    cron: dict[str, Any] = answer.get_json()
    return cron


def spec(backend: Backend) -> dict[str, Any]:
    """What the runs of the only cron are created with."""
    with backend.db.read() as tx:
        return dict(tx.scalars(sa.select(models.crons.c.spec)).one())


def found(web: FlaskClient, **wanted: Any) -> list[str]:
    answer = web.post("/runs/crons/search", json=wanted)
    assert answer.status_code == 200, answer.text
    return [cron["cron_id"] for cron in answer.get_json()]


@by_mount
def test_a_cron_is_answered_as_the_reference_does(web: FlaskClient, mount: Mount) -> None:
    cron = web.post(f"{mount.prefix}/runs/crons", json={**EVERYTHING, "unknown": 1}).get_json()
    cron_id, next_run = cron["cron_id"], datetime.fromisoformat(cron["next_run_date"])
    assert (next_run.hour, next_run.minute) in {(3, 0), (4, 0)}, "five o'clock in Berlin"
    assert next_run > datetime.now(UTC)
    config = {**EVERYTHING["config"], "configurable": {"x": 1, "cron_id": cron_id}}
    assert cron == {
        "cron_id": cron_id,
        "assistant_id": STEPS,
        "thread_id": None,
        "user_id": "",
        "end_time": "2039-12-31T23:00:00.000000+00:00",
        "schedule": "0 5 * * *",
        "timezone": "Europe/Berlin",
        "payload": {**EVERYTHING, "assistant_id": STEPS, "config": config, "end_time": "2039-12-31T23:00:00Z"},
        "next_run_date": cron["next_run_date"],
        "metadata": {"m": 1},
        "on_run_completed": "delete",
        "enabled": True,
        "created_at": cron["created_at"],
        "updated_at": cron["updated_at"],
    }
    assert web.get(f"{mount.prefix}/runs/crons/{cron_id}").get_json() == cron


@by_mount
def test_every_field_is_a_runs(web: FlaskClient, backend: Backend, mount: Mount) -> None:
    """The mounts' defaults do not differ here."""
    web.post(f"{mount.prefix}/runs/crons", json={**EVERYTHING, "multitask_strategy": "reject"})
    told = spec(backend)
    same = ("input", "metadata", "stream_subgraphs", "stream_resumable", "durability", "interrupt_before")
    assert {name: told[name] for name in same} == {name: EVERYTHING[name] for name in same}
    assert told["config"] == EVERYTHING["config"]
    assert (told["interrupt_after"], told["webhook"]) == ("*", EVERYTHING["webhook"])
    assert (told["stream_modes"], told["multitask_strategy"]) == (["values", "updates"], "reject")
    assert (told["temporary"], told["on_completion"], told["if_not_exists"]) == (True, "delete", "create")


@by_mount
def test_a_crons_defaults_are_the_same_on_both_mounts(
    web: FlaskClient, backend: Backend, thread: str, mount: Mount
) -> None:
    """On a thread its runs wait for their turn, and nothing becomes of the thread."""
    cron = web.post(f"{mount.prefix}/threads/{thread}/runs/crons", json={**DAILY, "on_run_completed": "keep"})
    assert (cron.get_json()["thread_id"], cron.get_json()["on_run_completed"]) == (thread, None)
    told = spec(backend)
    assert (told["multitask_strategy"], told["on_disconnect"], told["if_not_exists"], told["temporary"]) == (
        "enqueue", "continue", "reject", False,
    )  # fmt: skip


def test_null_is_nothing_said(web: FlaskClient, backend: Backend) -> None:
    nothing = dict.fromkeys(EVERYTHING.keys() - DAILY.keys() - {"input"})
    cron = make(web, **nothing, input=None, enabled=None, on_run_completed=None, context=None)
    plain = make(web)
    assert cron["payload"].keys() == plain["payload"].keys() | {"input", "end_time"}
    same = ("timezone", "end_time", "enabled", "on_run_completed", "metadata")
    assert [cron[name] for name in same] == [plain[name] for name in same] == [None, None, True, "delete", {}]
    with backend.db.read() as tx:
        one, other = tx.scalars(sa.select(models.crons.c.spec))
    assert one == other


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"schedule": "bad"}, 422, "Invalid cron schedule: 'bad'"),
    ({"schedule": "* * * * * *"}, 422, "Invalid cron schedule"),
    ({"schedule": "0 0 31 2 *"}, 422, "no day that ever comes"),
    ({"schedule": None}, 422, "schedule"),
    ({"schedule": 5}, 422, "schedule"),
    ({"timezone": "Mars/X"}, 422, "Invalid timezone: 'Mars/X'"),
    ({"assistant_id": "nope"}, 404, "Assistant 'nope' not found"),
    ({"assistant_id": str(uuid4())}, 404, "Assistant '"),
    ({"assistant_id": None}, 422, "assistant_id"),
    ({"end_time": "soon"}, 422, "end_time"),
    ({"end_time": "0001-01-01T00:00:00+14:00"}, 422, "between the years"),
    ({"end_time": "9999-12-31T23:59:59-12:00"}, 422, "between the years"),
    ({"on_run_completed": "burn"}, 422, "on_run_completed"),
    ({"multitask_strategy": "wait"}, 422, "multitask_strategy"),
    ({"stream_mode": "tools"}, 422, "stream_mode"),
    ({"webhook": "ftp://example.org"}, 422, "Webhook"),
    ({"config": {"recursion_limit": 10**9}}, 422, "recursion_limit"),
    ({"config": {"configurable": {"a": 1}}, "context": {"a": 1}}, 400, "both configurable and context"),
    ({"metadata": [1]}, 422, "metadata"),
    ({"enabled": "perhaps"}, 422, "enabled"),
]


@by_mount
def test_what_cannot_be_is_refused_at_once(web: FlaskClient, thread: str, mount: Mount) -> None:
    for path in ("/runs/crons", f"/threads/{thread}/runs/crons"):
        for fields, status, told in REFUSED:
            answer = web.post(mount.prefix + path, json={**DAILY, **fields})
            assert told in detail(answer, status), fields
    assert web.post("/runs/crons/count", json={}).get_json() == 0


def test_no_cron_without_its_thread(web: FlaskClient, backend: Backend) -> None:
    """scenario 52: one that is somebody else's is as good as none."""
    theirs = make_thread(backend, TEAM_MATE).thread_id
    for missing in (uuid4(), theirs):
        answer = web.post(f"/threads/{missing}/runs/crons", json=DAILY)
        assert detail(answer, 404) == f"Thread with ID {missing} not found"


def test_crons_go_with_their_thread(web: FlaskClient, thread: str) -> None:
    cron_id, stays = make(web, f"/threads/{thread}/runs/crons")["cron_id"], make(web)["cron_id"]
    assert web.delete(f"/threads/{thread}").status_code == 204
    assert detail(web.get(f"/runs/crons/{cron_id}"), 404) == "Cron not found"
    assert found(web) == [stays]


@by_mount
def test_life_of_a_cron(web: FlaskClient, mount: Mount) -> None:
    path = f"{mount.prefix}/runs/crons/{make(web)['cron_id']}"
    assert detail(web.patch(path, json={}), 400) == "Request body cannot be empty"
    assert web.patch(path, json={"schedule": "0 7 * * *"}).get_json()["schedule"] == "0 7 * * *"
    assert web.delete(path).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        assert detail(web.open(path, method=method, json={"enabled": True}), 404) == "Cron not found"
        assert detail(web.open(f"{mount.prefix}/runs/crons/x", method=method), 422) == "Invalid cron ID: must be a UUID"


def test_a_change_keeps_what_it_does_not_name(web: FlaskClient, backend: Backend) -> None:
    """The payload is replaced field by field, metadata are merged, the assistant stays."""
    before = make(web, **EVERYTHING, on_run_completed="keep")
    change = {"input": {"b": 2}, "metadata": {"k": 2}, "config": {"tags": ["u"]}, "assistant_id": "chat", "unknown": 1}
    answer = web.patch(f"/runs/crons/{before['cron_id']}", json=change)
    after = answer.get_json()
    config = {"tags": ["u"], "configurable": {"cron_id": before["cron_id"]}}
    payload = {**before["payload"], "input": {"b": 2}, "metadata": {"m": 1, "k": 2}, "config": config}
    changed = {"payload": payload, "metadata": {"m": 1, "k": 2}, "updated_at": after["updated_at"]}
    assert after == {**before, **changed}
    assert after["updated_at"] > before["updated_at"]
    told = spec(backend)
    assert (told["input"], told["metadata"], told["assistant"]) == ({"b": 2}, {"m": 1, "k": 2}, STEPS)
    assert (told["durability"], told["on_completion"], told["config"]["tags"]) == ("sync", "keep", ["u"])


def test_a_change_of_times_counts_from_now(web: FlaskClient) -> None:
    cron = make(web, end_time="2040-01-01T00:00:00Z")
    path = f"/runs/crons/{cron['cron_id']}"

    def changed(**fields: Any) -> Any:
        answer = web.patch(path, json=fields)
        assert answer.status_code == 200, answer.text
        return answer.get_json()["next_run_date"]

    assert changed(input={}) == cron["next_run_date"]
    assert changed(schedule="0 6 * * *")[11:16] == "06:00"
    assert changed(timezone="Asia/Tokyo")[11:16] == "21:00"
    assert changed(end_time="2020-01-01T00:00:00Z") is None
    assert changed(end_time=None)[11:16] == "21:00"
    assert changed(enabled=False) is None
    assert changed(schedule="0 8 * * *") is None
    assert changed(enabled=True)[11:16] == "23:00"
    assert web.get(path).get_json()["end_time"] is None


def test_a_refused_change_changes_nothing(web: FlaskClient) -> None:
    path = f"/runs/crons/{make(web, **EVERYTHING)['cron_id']}"
    before = web.get(path).get_json()
    for fields, status, told in REFUSED:
        named = {name: each for name, each in fields.items() if each is not None and name != "assistant_id"}
        if named:
            assert told in detail(web.patch(path, json={**named, "metadata": {"n": 1}, **named}), status), fields
    detail(web.patch(path, json=[]), 422)
    assert web.get(path).get_json() == before


def test_changes_at_once_lose_nothing(web: FlaskClient) -> None:
    """Each adds to what the other has left."""
    path = f"/runs/crons/{make(web)['cron_id']}"
    app = web.application

    def change(name: str) -> int:
        return app.test_client().patch(path, json={"metadata": {name: 1}}).status_code

    assert at_once(*[lambda name=name: change(name) for name in "abcd"]) == [200] * 4
    assert web.get(path).get_json()["metadata"] == dict.fromkeys("abcd", 1)


def test_crons_are_found_by_what_they_are(web: FlaskClient, thread: str) -> None:
    """And counted."""
    one = make(web, f"/threads/{thread}/runs/crons", metadata={"a": {"b": [1, 2]}})["cron_id"]
    two = make(web, enabled=False)["cron_id"]
    three = make(web, assistant_id="chat", schedule="0 0 29 2 *")["cron_id"]
    wanted: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [three, two, one]),
        ({"thread_id": thread}, [one]),
        ({"assistant_id": STEPS}, [two, one]),
        ({"enabled": False}, [two]),
        ({"enabled": True}, [three, one]),
        ({"enabled": None, "metadata": None, "select": None, "sort_by": None}, [three, two, one]),
        ({"metadata": {"a": {"b": [2]}}}, [one]),
        ({"metadata": {"a": 2}}, []),
        ({"thread_id": str(uuid4())}, []),
    ]
    for fields, expected in wanted:
        assert found(web, **fields) == expected
        assert web.post("/runs/crons/count", json=fields).get_json() == len(expected)
    assert found(web, sort_order="asc") == [one, two, three]
    assert found(web, sort_by="next_run_date", sort_order="asc") == [one, three, two]
    assert found(web, sort_by="next_run_date") == [three, one, two]
    assert set(found(web, sort_by="thread_id")) == {one, two, three}


def test_a_page_says_whether_there_are_more(web: FlaskClient) -> None:
    made = [make(web)["cron_id"] for _ in range(3)]
    first = web.post("/runs/crons/search", json={"limit": 2, "select": ["cron_id", "enabled"]})
    assert first.get_json() == [{"cron_id": each, "enabled": True} for each in made[:0:-1]]
    assert (first.headers["X-Pagination-Next"], first.headers["X-Pagination-Total"]) == ("2", "3")
    last = web.post("/runs/crons/search", json={"limit": 2, "offset": 2})
    assert [cron["cron_id"] for cron in last.get_json()] == made[:1]
    assert "X-Pagination-Next" not in last.headers


def test_a_search_that_makes_no_sense_is_refused(web: FlaskClient) -> None:
    nonsense: list[dict[str, Any]] = [
        {"select": ["zz"]}, {"sort_by": "zz"}, {"sort_order": "up"}, {"limit": 0}, {"limit": 1001}, {"offset": -1},
        {"assistant_id": "steps"}, {"thread_id": "x"}, {"metadata": "x"}, {"enabled": "perhaps"},
    ]  # fmt: skip
    for fields in nonsense:
        detail(web.post("/runs/crons/search", json=fields), 422)


def test_the_same_request_again_has_the_same_cron(web: FlaskClient, thread: str) -> None:
    """Under an ``Idempotency-Key``: also through the other mount, and when the cron has gone."""
    for path in ("/runs/crons", f"/threads/{thread}/runs/crons"):
        key = {"Idempotency-Key": path}
        first = web.post(path, json=DAILY, headers=key)
        again = web.post(f"/api{path}", json=DAILY, headers=key)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.get_json() == first.get_json()
        detail(web.post(path, json={**DAILY, "schedule": "* * * * *"}, headers=key), 409)
        web.delete(f"/runs/crons/{first.get_json()['cron_id']}")
        assert web.post(path, json=DAILY, headers=key).get_json() == first.get_json()
    assert found(web) == []


def test_crons_are_told_of(web: FlaskClient) -> None:
    """Studio looks at the flag."""
    assert web.get("/info").get_json()["flags"]["crons"] is True


def test_a_creator_is_named_by_their_handler(web: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """``user_id`` is who graphs know as the caller; a cron of somebody else's is not there."""
    monkeypatch.setattr(local, "_LOCAL", type(LOCAL_USER)(LOCAL, LOCAL_USER.permissions, user={"identity": "ada"}))
    cron = make(web)
    assert cron["user_id"] == "ada"
    monkeypatch.setattr(local, "_LOCAL", TEAM_MATE)
    detail(web.get(f"/runs/crons/{cron['cron_id']}"), 404)
    assert found(web) == []
