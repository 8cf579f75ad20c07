"""One run on a page of its own."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.accounts import principal_of
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Principal, Proof, Role
from deerflow.domain.runs import Run
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.errors import Unavailable
from deerflow.events.log import log_key, outcome_key
from deerflow.settings import Settings
from deerflow.storage import models
from tests.factories import LOCAL_USER, finish_run, make_app, make_run, make_running, make_user, row_of, set_columns
from tests.integration.identity.stranger import with_session
from tests.integration.web.seen import LIST, get, rows, text


@pytest.fixture
def client(settings: Settings, backend: Backend) -> FlaskClient:
    """Somebody at a server without accounts."""
    return make_app(settings, backend).test_client()


def say(backend: Backend, run: Run, *said: tuple[str, Any], ms: int = 0) -> None:
    """Put events into a run's log, as its worker does; each *ms* after the one before."""
    at = int(run.created_at.timestamp() * 1000)
    frames = [
        b"%013d" % (at + number * ms) + b"event: " + name.encode() + b"\r\ndata: " + orjson.dumps(data) + b"\r\n"
        for number, (name, data) in enumerate(said)
    ]
    backend.log._redis.rpush(log_key(run.run_id), *frames)


def page_of(client: FlaskClient, run: Run, query: str = "") -> str:
    return get(client, f"{LIST}/{run.run_id}{query}")


def places(page: str) -> list[int]:
    """The events that the page shows."""
    return [int(place) for place in re.findall(r'<li data-place="(\d+)"', page)]


def worker(backend: Backend) -> None:
    """A worker says that it lives."""
    backend.presence.renew("w", ("runs",), executing=0, slots=4)


def test_what_it_was_asked_and_what_it_left(client: FlaskClient, backend: Backend) -> None:
    asked = {"input": {"question": "<b>why</b>"}, "config": {"tags": ["a-tag"]}, "interrupt_before": ["two"]}
    run = make_running(backend, LOCAL_USER, worker="worker-7", **asked)
    page = page_of(client, run)
    assert "worker-7" in page
    assert "<b>why" not in page
    for told in ('"question": "<b>why</b>"', "a-tag", '"interrupt_before"', "langgraph_auth_user"):
        assert (told in text(page)) is (told != "langgraph_auth_user"), told
    backend.log._redis.set(outcome_key(run.run_id), b'{"answer":42}')
    finish_run(backend, run)
    assert '"answer": 42' in text(page_of(client, run))


def test_a_failure_is_told_and_its_place_only_to_administrators(accounts_app: Flask, backend: Backend) -> None:
    for role, is_told in ((Role.ADMIN, True), (Role.USER, False)):
        user = make_user(backend, f"a-{role}@example.com", role=role)
        run = make_running(backend, principal_of(user, proof=Proof.NONE))
        finish_run(backend, run, status=RunStatus.ERROR, error={"error": "ValueError", "message": "boom <i>"})
        page = page_of(with_session(accounts_app, backend, user), run)
        assert "ValueError boom <i>" in text(page)
        assert ("worker's log" in text(page)) is is_told


def test_a_traceback_is_shown_to_administrators_alone(accounts_app: Flask, backend: Backend) -> None:
    """The same run of the same user, who is none any more a moment later."""
    user = make_user(backend, "ada@example.com", role=Role.ADMIN)
    run = failed(backend, principal_of(user, proof=Proof.NONE))
    client = with_session(accounts_app, backend, user)
    page = page_of(client, run)
    assert 'File "graph.py", line 7, in <module>' in text(page)
    assert "<module>" not in page
    assert re.search(r'<details class="unfold" id="traceback"><summary>Traceback</summary>', page), "it is folded"
    assert 'data-copy="Traceback (most' in page
    assert "worker's log" not in text(page)
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.users).values(role=Role.USER))
    page = page_of(client, run)
    assert "ValueError boom" in text(page)
    assert "traceback" not in page.lower()
    assert "graph.py" not in page


def test_a_traceback_is_shown_where_there_are_no_accounts(client: FlaskClient, backend: Backend) -> None:
    assert "graph.py" in page_of(client, failed(backend, LOCAL_USER))


def test_a_run_that_did_not_fail_has_no_traceback(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    finish_run(backend, run)
    assert "traceback" not in page_of(client, run).lower()


def failed(backend: Backend, principal: Principal) -> Run:
    """A run that has failed, with where it did."""
    run = make_running(backend, principal)
    traceback = 'Traceback (most recent call last):\n  File "graph.py", line 7, in <module>\nValueError: boom'
    error = {"error": "ValueError", "message": "boom"}
    finish_run(backend, run, status=RunStatus.ERROR, error=error, traceback=traceback)
    return run


def test_the_timeline_has_what_is_known(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    start = datetime.now(UTC) - timedelta(minutes=5)
    set_columns(backend, run, created_at=start, run_at=start, started_at=start + timedelta(seconds=2))
    task = {"id": "1", "name": "plan", "triggers": []}
    say(backend, run, ("metadata", {}), ("tasks", task), ("tasks", task | {"result": {}}), ms=1500)
    say(backend, run, ("tasks", task | {"id": "2", "name": "write"}))
    told = text(page_of(client, run)).partition("Timeline")[2]
    assert re.search(
        r" Accepted 5 minutes ago Started waited 2\.0 s 5 min.* plan 1\.5 s write .* Running [45] min \d+ s", told
    )
    set_columns(backend, run, status="error", ended_at=start + timedelta(seconds=9))
    assert re.search(r"write not finished Failed ran 7\.0 s", text(page_of(client, run)))


def test_nodes_that_the_log_does_not_tell_of_are_a_click_away(client: FlaskClient, backend: Backend) -> None:
    """The page does not wait for a state worker, and none is asked of a run that has not begun or whose log knows."""
    run = make_running(backend, LOCAL_USER)
    way = f'href="{LIST}/{run.run_id}?steps=1"'
    assert f"{way}>" in page_of(client, run), "a run under way is not asked about by itself"
    finish_run(backend, run)
    assert f"{way} data-fetch>" in page_of(client, run)
    page = page_of(client, run, "?steps=1")
    assert "No state worker is running." in text(page)
    assert way not in page, "it does not ask itself again"
    task = {"id": "1", "name": "plan", "triggers": []}
    say(backend, run, ("tasks", task), ("tasks", task | {"result": {}}))
    assert way not in page_of(client, run)
    assert "?steps=1" not in page_of(client, make_run(backend, LOCAL_USER))


def test_a_state_worker_that_does_not_answer_hides_nothing_else(
    client: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deerflow.runtime.ask._PATIENCE_SECONDS", 0.1)
    backend.presence.renew("s", ("state",), executing=0, slots=4)
    run = make_running(backend, LOCAL_USER, input={"question": "why"})
    finish_run(backend, run)
    page = text(page_of(client, run, "?steps=1"))
    assert "No state worker answers" in page
    assert '"question": "why"' in page


def test_the_last_200_events_and_the_way_to_older_ones(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    assert 'id="no-events">No events yet.' in page_of(client, run)
    say(backend, run, *(("custom", {"n": number}) for number in range(1, 451)))
    newest = page_of(client, run)
    assert places(newest) == [*range(251, 451)]
    assert f'href="{LIST}/{run.run_id}?before=251#events">' in newest
    older = page_of(client, run, "?before=251")
    assert places(older) == [*range(51, 251)]
    assert "data-follow" not in older, "what comes is put behind the newest alone"
    assert "To the newest" in older
    oldest = page_of(client, run, "?before=51")
    assert places(oldest) == [*range(1, 51)]
    assert "hidden>Show older ones" in oldest
    for nonsense in ("?before=x", "?before=-1", "?before=99999999999999999999", "?before=451"):
        assert places(page_of(client, run, nonsense)) == [*range(251, 451)], nonsense
    assert places(page_of(client, run, "?before=1")) == []


def test_what_is_long_is_cut_and_the_rest_is_a_click_away(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER, input={"text": "x" * 50_000})
    say(backend, run, ("custom", "y" * 50_000))
    page = page_of(client, run)
    assert len(page) < 60_000
    (whole,) = re.findall(r'href="([^"]+events\?[^"]+)"', page)
    (event,) = client.get(whole.replace("&amp;", "&")).get_json()["events"]
    assert event["data"] == "y" * 50_000


def test_events_go_on_by_themselves_while_it_runs(client: FlaskClient, backend: Backend) -> None:
    """events.js follows the stream of the API from the last one on; the rest of the page is fetched again."""
    run = make_running(backend, LOCAL_USER)
    say(backend, run, ("custom", 1), ("custom", 2))
    page = page_of(client, run)
    assert f'data-follow="/threads/{run.thread_id}/runs/{run.run_id}/stream" data-last="2"' in page
    assert 'id="run" data-live="5"' in page
    finish_run(backend, run)
    ended = page_of(client, run)
    assert "data-follow" not in ended
    assert "data-live" not in ended


def test_without_redis_the_rest_is_told(client: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_running(backend, LOCAL_USER, input={"question": "why"})
    finish_run(backend, run)

    def away(*_: object, **__: object) -> None:
        raise Unavailable("The event log does not answer")

    for name in ("end", "read", "outcome"):
        monkeypatch.setattr(backend.log, name, away)
    page = text(page_of(client, run))
    assert "Redis does not answer" in page
    assert '"question": "why"' in page


def test_a_queued_run_says_its_place_and_why_it_waits(client: FlaskClient, backend: Backend) -> None:
    worker(backend)
    running = make_running(backend, LOCAL_USER)
    second = make_run(backend, LOCAL_USER, thread_id=running.thread_id)
    third = make_run(backend, LOCAL_USER, thread_id=running.thread_id)
    assert "Number 2 in its thread." in text(page_of(client, second))
    page = page_of(client, third)
    assert "Number 3 in its thread." in text(page)
    assert f'href="{LIST}/{second.run_id}"' in page
    finish_run(backend, running)
    assert "A worker takes it as soon as one is free." in text(page_of(client, second))
    backend.presence.leave("w")
    assert "Next in its thread, but no worker is running." in text(page_of(client, second))
    later = make_run(backend, LOCAL_USER, after_seconds=7200)
    assert "Scheduled: it may start in 2 hours" in text(page_of(client, later))


@pytest.mark.parametrize("action", CancelAction)
def test_stop_asks_what_shall_be_left(client: FlaskClient, backend: Backend, action: CancelAction) -> None:
    """Both are buttons in the question, and neither is pressed by one click."""
    run = make_running(backend, LOCAL_USER)
    question = re.search(r"<details class=\"ask.*?</details>", page_of(client, run), re.DOTALL)
    assert question is not None
    assert re.findall(r'name="action" value="(\w+)"', question[0]) == ["interrupt", "rollback"]
    place = client.post(f"{LIST}/{run.run_id}/stop", data={"action": str(action)}).headers["Location"]
    assert row_of(backend, run).cancel_action is action
    told = text(get(client, place))
    assert ("told to stop" in told) is (action is CancelAction.INTERRUPT)
    assert ("Nothing of it will be left" in told) is (action is CancelAction.ROLLBACK)
    assert "being stopped" in text(page_of(client, run))


def test_stopping_what_has_ended_is_told(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    finish_run(backend, run)
    answer = client.post(f"{LIST}/{run.run_id}/stop", data={"action": "interrupt"})
    assert answer.status_code == 303
    assert "the run had already ended" in text(get(client, answer.headers["Location"]))
    assert 'name="action"' not in page_of(client, run)


def test_run_again(client: FlaskClient, backend: Backend) -> None:
    first = make_running(backend, LOCAL_USER, input={"n": 7})
    finish_run(backend, first)
    (press,) = re.findall(r'name="press" value="([^"]+)"', page_of(client, first))
    led = [
        client.post(f"{LIST}/{first.run_id}/again", data={"press": press}).headers["Location"] for _click in range(2)
    ]
    assert led[0] == led[1]
    page = get(client, led[0])
    assert "asked for the same" in text(page)
    assert '"n": 7' in text(page)
    assert len(rows(get(client, f"{LIST}?thread={first.thread_id}"))) == 2


def test_what_cannot_run_again_says_why(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    finish_run(backend, run)
    set_columns(backend, run, assistant_id=new_id())
    answer = client.post(f"{LIST}/{run.run_id}/again")
    assert answer.status_code == 200
    assert "It cannot run again: Thread or assistant not found." in text(answer.text)
    assert f'href="{LIST}/{run.run_id}?steps=1"' in answer.text, "the way from there leads to the run's own address"


def test_a_run_that_is_not_there(client: FlaskClient) -> None:
    assert "Not found" in get(client, f"{LIST}/{new_id()}", 404)
    for path in (f"{LIST}/{new_id()}/stop", f"{LIST}/{new_id()}/again"):
        assert client.post(path).status_code == 404
    assert client.get(f"{LIST}/nonsense").status_code in {404, 422}


def test_in_chinese(client: FlaskClient, backend: Backend) -> None:
    run = make_running(backend, LOCAL_USER)
    for path in (LIST, f"{LIST}/{run.run_id}"):
        page = client.get(path, headers={"Accept-Language": "zh-CN"}).text
        assert "运行中" in page
        assert "Running" not in text(page)
