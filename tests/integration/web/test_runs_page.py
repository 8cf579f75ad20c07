"""The list of runs, its filters, and stopping several at once."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.accounts import User, principal_of
from deerflow.domain.assistants import system_assistant_id
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Proof, Role, Scope
from deerflow.domain.runs import Run
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.settings import Settings
from deerflow.storage import models
from tests.factories import (
    LOCAL_USER,
    claim_run,
    finish_run,
    make_app,
    make_run,
    make_running,
    make_user,
    row_of,
    set_columns,
)
from tests.integration.identity.stranger import with_key, with_session
from tests.integration.web.seen import LIST, get, pills, rows, text


@pytest.fixture
def client(settings: Settings, backend: Backend) -> FlaskClient:
    """Somebody at a server without accounts."""
    return make_app(settings, backend).test_client()


def mine(backend: Backend, **of_run: Any) -> Run:
    return make_run(backend, LOCAL_USER, **of_run)


def stop(client: FlaskClient, *runs: Run, action: str = "interrupt", back: str = "") -> str:
    """Press a button under the list; where it leads to."""
    ticked = {"run": [str(run.run_id) for run in runs], "action": action, "back": back}
    return client.post(f"{LIST}/stop", data=ticked).headers["Location"]


def test_no_runs_yet(client: FlaskClient) -> None:
    page = get(client, LIST)
    assert "No runs yet" in page
    assert "/console/threads/new" in page
    assert "<table>" not in page


def test_a_row_tells_what_people_want_to_know(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.threads).values(title="A <b>plan</b>"))
    start = datetime.now(UTC) - timedelta(hours=2)
    times = {"created_at": start, "run_at": start, "started_at": start + timedelta(seconds=5), "attempt": 3}
    set_columns(backend, run, **times, status="success", ended_at=start + timedelta(seconds=70))
    page = get(client, LIST)
    assert rows(page) == {
        str(run.run_id): "Done A <b>plan</b> steps · 2 hours ago steps This machine 2 hours ago 5.0 s 1 min 5 s 3"
    }
    assert "<b>plan" not in page


def test_who_began_it(accounts_app: Flask, backend: Backend) -> None:
    """A key by its name, a schedule, or oneself."""
    ada = make_user(backend, "ada@example.com")
    by_key = with_key(accounts_app, backend, ada)
    thread_id = by_key.post("/threads", json={}).get_json()["thread_id"]
    by_key.post(f"/threads/{thread_id}/runs", json={"assistant_id": "steps"})
    by_session = with_session(accounts_app, backend, ada)
    by_session.post(f"/threads/{thread_id}/runs", json={"assistant_id": "steps"})
    make_run(backend, principal_of(ada, proof=Proof.NONE), metadata={"cron_id": "c"})
    newest, second, oldest = rows(get(by_session, LIST)).values()
    assert "Schedule" in newest
    assert "ada@example.com" in second
    assert "of a test" in oldest


@pytest.mark.parametrize(
    ("query", "found"),
    [("", "abcd"), ("status=waiting", "bcd"), ("status=running", "a"), ("agent={chat}", "b"), ("thread={thread}", "c"),
     ("since=hour", "abc"), ("since=day", "abcd"), ("status=nonsense&agent=nonsense&thread=1&since=x&page=x", "abcd"),
     ("status=waiting&agent={chat}", "b"), ("status=running&agent={chat}", "")],
)  # fmt: skip
def test_filters_stand_in_the_address(client: FlaskClient, backend: Backend, query: str, found: str) -> None:
    runs = {"d": mine(backend), "c": mine(backend), "b": mine(backend, assistant="chat"), "a": mine(backend)}
    assert claim_run(backend, runs["a"]) is not None
    set_columns(backend, runs["d"], created_at=datetime.now(UTC) - timedelta(hours=2))
    query = query.format(chat=system_assistant_id("chat"), thread=runs["c"].thread_id)
    page = get(client, f"{LIST}?{query}")
    assert list(rows(page)) == [str(runs[name].run_id) for name in found]
    if not found:
        assert "No run matches" in page


def test_pills_count_what_the_other_filters_leave(client: FlaskClient, backend: Backend) -> None:
    mine(backend, assistant="chat")
    make_running(backend, LOCAL_USER)
    empty = {"Needs approval": 0, "Done": 0, "Failed": 0, "Stopped": 0}
    assert pills(get(client, f"{LIST}?status=done")) == {"All": 2, "Waiting": 1, "Running": 1, **empty}
    assert pills(get(client, f"{LIST}?agent={system_assistant_id('chat')}")) == {
        "All": 1, "Waiting": 1, "Running": 0, **empty,
    }  # fmt: skip
    led = re.findall(r'<a class="pill" href="([^"]+)"', get(client, f"{LIST}?since=day&page=2"))
    assert led[1] == f"{LIST}?status=waiting&amp;since=day", "a pill keeps the other filters, and begins at page 1"


def test_pages_of_25(client: FlaskClient, backend: Backend) -> None:
    made = [mine(backend) for _ in range(27)]
    first, second = get(client, f"{LIST}?since=day"), get(client, f"{LIST}?since=day&page=2")
    assert list(rows(first)) == [str(run.run_id) for run in made[:1:-1]]
    assert list(rows(second)) == [str(made[1].run_id), str(made[0].run_id)]
    assert "27 of 27" in text(second)
    assert f'rel="prev" href="{LIST}?since=day"' in second
    assert list(rows(get(client, f"{LIST}?page=99999999"))) == list(rows(second)), (
        "there is no page so far: the last one"
    )


def test_the_list_stays_up_to_date(client: FlaskClient) -> None:
    """live.js fetches what is marked so."""
    assert 'id="list" data-live="5"' in get(client, LIST)


def test_several_are_stopped_at_once(client: FlaskClient, backend: Backend) -> None:
    """The list is as it was before, and says what came of it."""
    waiting, running, ended = mine(backend), make_running(backend, LOCAL_USER), make_running(backend, LOCAL_USER)
    finish_run(backend, ended)
    page = get(client, LIST)
    assert len(re.findall(r'type="checkbox"', page)) == 2, "what has ended cannot be ticked"
    place = stop(client, waiting, running, ended, back="status=waiting&since=day&stopped=9")
    assert place == f"{LIST}?status=waiting&since=day&stopped=2&over=1"
    assert "2 runs were told to stop. 1 run had already ended." in text(get(client, place))
    assert row_of(backend, waiting).status is RunStatus.INTERRUPTED
    assert row_of(backend, running).cancel_action is CancelAction.INTERRUPT
    assert row_of(backend, ended).status is RunStatus.SUCCESS


def test_several_are_rolled_back(client: FlaskClient, backend: Backend) -> None:
    waiting = mine(backend)
    stop(client, waiting, action="rollback")
    assert rows(get(client, LIST)) == {}


def test_nothing_selected_is_told(client: FlaskClient, backend: Backend) -> None:
    run = mine(backend)
    assert "Select the runs to stop first." in text(get(client, stop(client)))
    assert client.post(f"{LIST}/stop", data={"run": ["nonsense", ""]}).status_code == 303
    assert row_of(backend, run).status is RunStatus.PENDING


@pytest.mark.parametrize("number", ["9" * 5_000, "-1", "²", "x", ""])
def test_what_is_no_number_of_stopped_runs_says_nothing(client: FlaskClient, number: str) -> None:
    assert "told to stop" not in get(client, f"{LIST}?stopped={number}&over={number}")


def test_nobody_elses_runs_are_seen_or_stopped(accounts_app: Flask, backend: Backend) -> None:
    ada, eve = (make_user(backend, f"{name}@example.com", role=Role.ADMIN) for name in ("ada", "eve"))
    run = make_run(backend, principal_of(ada, proof=Proof.NONE))
    of_eve = with_session(accounts_app, backend, eve)
    page = get(of_eve, f"{LIST}?thread={run.thread_id}&agent={run.assistant_id}")
    assert rows(page) == {}
    assert sum(pills(page).values()) == 0
    assert stop(of_eve, run) == f"{LIST}?over=1", "as one that is not there"
    assert row_of(backend, run).cancel_action is None
    assert stop(of_eve, Run(**{**vars(run), "run_id": new_id()})) == f"{LIST}?over=1"


def test_who_may_only_read_is_offered_no_stop(accounts_app: Flask, backend: Backend) -> None:
    ada = make_user(backend, "ada@example.com")
    run = make_run(backend, principal_of(ada, proof=Proof.NONE))
    reader = with_key(accounts_app, backend, ada, scope=Scope.READ)
    for place in (LIST, f"{LIST}/{run.run_id}"):
        assert "Stop</span>" not in get(reader, place)
    assert reader.post(f"{LIST}/stop", data={"run": [str(run.run_id)]}).status_code == 403


def test_another_sites_button_stops_nothing(accounts_app: Flask, backend: Backend) -> None:
    ada: User = make_user(backend, "ada@example.com")
    run = make_run(backend, principal_of(ada, proof=Proof.NONE))
    client = with_session(accounts_app, backend, ada)
    for path in (f"{LIST}/stop", f"{LIST}/{run.run_id}/stop", f"{LIST}/{run.run_id}/again"):
        answer = client.post(path, data={"run": [str(run.run_id)]}, headers={"X-CSRFToken": "another"})
        assert answer.status_code == 403
    assert row_of(backend, run).status is RunStatus.PENDING
