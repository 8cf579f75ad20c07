"""What is told about the server: /metrics, /live and /ready."""

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from deerflow.api.mounts import Mount
from deerflow.backend import Backend
from deerflow.domain.principal import Role, Scope
from deerflow.domain.words import CancelAction
from deerflow.errors import Unavailable
from deerflow.runtime.cancel import cancel
from deerflow.settings import Settings
from tests.factories import LOCAL_USER, make_app, make_key, make_run, make_running, make_user
from tests.integration.api.conftest import by_mount

Numbers = dict[tuple[str, ...], float]


def numbers(client: FlaskClient, **headers: str) -> Numbers:
    """All samples by name and the values of their labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_runs_and_workers_are_counted(web: FlaskClient, backend: Backend) -> None:
    """What waits behind another run of its thread is due, but no worker's fault; what has ended is counted too."""
    running = make_running(backend, LOCAL_USER)
    make_run(backend, LOCAL_USER, thread_id=running.thread_id)
    alone = make_run(backend, LOCAL_USER)
    make_run(backend, LOCAL_USER, after_seconds=3600.0)
    cancelled = make_run(backend, LOCAL_USER)
    cancel(backend, LOCAL_USER, cancelled.thread_id, cancelled.run_id, CancelAction.INTERRUPT)
    backend.presence.renew("one", ("runs",), executing=1, slots=50)
    backend.presence.renew("two", ("state",))
    found = numbers(web)
    assert alone.run_id
    assert (found["deerflow_runs", "pending"], found["deerflow_runs", "running"]) == (3, 1)
    assert (found["deerflow_queue_depth",], found["deerflow_queue_unclaimed",]) == (2, 1)
    assert 0 < found["deerflow_queue_oldest_seconds",] < 60
    assert (found["deerflow_runs_ended_total", "interrupted"], found["deerflow_runs_ended_total", "error"]) == (1, 0)
    assert [found["deerflow_workers", queue] for queue in ("runs", "state", "clock")] == [1, 1, 0]
    assert (found["deerflow_worker_slots",], found["deerflow_worker_executing",]) == (50, 1)
    told = web.get("/metrics?format=json").get_json()
    assert told["workers"] == {"max": 50, "active": 1, "available": 49}
    assert (told["queue"]["n_pending"], told["queue"]["n_running"]) == (3, 1)


def test_requests_are_timed_by_route(web: FlaskClient, thread: str) -> None:
    """Under the pattern, not the path: ids would make a number of their own each."""
    web.get(f"/threads/{thread}")
    web.get("/threads/none")
    found = numbers(web)
    route = "/threads/<id(thread):thread_id>"
    assert found["deerflow_request_seconds_count", "GET", route, "2xx"] == 1
    assert thread not in web.get("/metrics").text


def test_methods_that_clients_make_up_are_counted_as_one(web: FlaskClient) -> None:
    """Who needs no key for it could fill the memory with labels."""
    for method in ("AAAA", "BBBB", "PROPFIND"):
        web.open("/nowhere", method=method)
    found = numbers(web)
    assert found["deerflow_request_seconds_count", "other", "none", "4xx"] == 3
    assert {key[1] for key in found if key[0] == "deerflow_request_seconds_count"} <= {"GET", "other"}


@pytest.mark.parametrize(
    ("setting", "statuses"), [("public", (200, 200, 200)), ("admin", (401, 403, 200)), ("off", (404,) * 3)]
)
def test_the_setting_says_who_may_read(
    settings: Settings, backend: Backend, setting: str, statuses: tuple[int, ...]
) -> None:
    """Nobody by name, a user, an administrator."""
    told = {"auth": "accounts", "secret": "s" * 40, "metrics": setting}
    client = make_app(settings.model_copy(update=told), backend).test_client()
    user, admin = make_user(backend, "a@example.com"), make_user(backend, "b@example.com", role=Role.ADMIN)
    keys = [{}, *({"x-api-key": make_key(backend, who, scope=Scope.ADMIN)} for who in (user, admin))]
    assert tuple(client.get("/metrics", headers=key).status_code for key in keys) == statuses


@by_mount
def test_ready_says_what_is_missing(web: FlaskClient, mount: Mount) -> None:
    """And is well when every queue has somebody; that the process lives is told whatever is missing."""
    refused = web.get(f"{mount.prefix}/ready")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    told = refused.get_json()
    assert [part for part, said in told["parts"].items() if said != "ok"] == ["runs", "state", "clock"]
    assert told["detail"] == "Not ready: runs, state, clock"
    assert web.get(f"{mount.prefix}/live").get_json() == {"ok": True}


def test_ready_when_all_are_there(web: FlaskClient, backend: Backend) -> None:
    for queue in ("runs", "state", "clock"):
        backend.presence.renew(queue, (queue,))
    answer = web.get("/ready")
    assert (answer.status_code, answer.get_json()["ok"]) == (200, True)


def test_numbers_are_told_without_a_database(
    web: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what does not answer it is said that it does not."""

    def away(*_: object, **__: object) -> None:
        raise Unavailable("The database does not answer")

    monkeypatch.setattr(type(backend.db), "read", away)
    monkeypatch.setattr(type(backend.db), "ping", away)
    found = numbers(web)
    assert (found["deerflow_up", "database"], found["deerflow_up", "redis"]) == (0, 1)
    assert ("deerflow_runs", "pending") not in found
    assert web.get("/ready").get_json()["parts"]["database"] == "The database does not answer"
    assert web.get("/live").status_code == 200
