"""The page of the system: what answers, who works and how much waits."""

import re

import pytest
from flask.testing import FlaskClient

from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.principal import Role
from deerflow.errors import Unavailable
from deerflow.settings import Settings
from tests.factories import LOCAL_USER, make_app, make_run, make_running, make_user
from tests.integration.identity.conftest import SignIn

QUEUES = {"worker-1": "runs", "state-1": "state", "clock-1": "clock"}


@pytest.fixture
def client(settings: Settings, backend: Backend) -> FlaskClient:
    """A browser at a server without accounts."""
    return make_app(settings, backend).test_client()


def told(client: FlaskClient) -> str:
    """What the page says, without its tags."""
    page = client.get("/console/system")
    assert page.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


def all_there(backend: Backend) -> None:
    for name, queue in QUEUES.items():
        backend.presence.renew(name, (queue,), executing=3 if queue == "runs" else 0, slots=50 * (queue == "runs"))


def test_all_is_well_when_all_are_there(client: FlaskClient, backend: Backend) -> None:
    """Who works, how busy, and which versions there are."""
    all_there(backend)
    page = told(client)
    assert 'role="alert"' not in client.get("/console/system").text
    assert "All parts work." in page
    assert "3 of 50" in page
    assert all(name in page for name in QUEUES)
    assert "SQLite 3." in page if backend.db.is_sqlite else "PostgreSQL 1" in page
    assert "Valkey" in page
    assert re.search(r"LangGraph \d+\.\d+", page)


MISSING = {
    "worker-1": "No worker is running: runs will wait.",
    "state-1": "No state worker is running",
    "clock-1": "No clock is running",
}


def test_who_is_missing_is_told_with_what_comes_of_it(client: FlaskClient, backend: Backend) -> None:
    for missing, sentence in MISSING.items():
        all_there(backend)
        backend.presence.leave(missing)
        page = told(client)
        assert sentence in page
        assert "All parts work." not in page
        assert page.count("Missing") == 1


def test_how_much_waits_is_told(client: FlaskClient, backend: Backend) -> None:
    """What is at work, what waits for a worker, and since when."""
    running = make_running(backend, LOCAL_USER)
    make_run(backend, LOCAL_USER, thread_id=running.thread_id)
    make_run(backend, LOCAL_USER)
    make_run(backend, LOCAL_USER)
    page = told(client)
    assert "Runs at work 1 there is nobody to take any" in page
    assert "Runs that wait 3 1 behind another run of its thread" in page
    assert re.search(r"Longest wait for a worker \d+ seconds? 2 runs wait for one", page)


def test_a_part_that_is_away_is_told_and_asked_once(
    client: FlaskClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def away(*_: object) -> None:
        looks.append(1)
        raise Unavailable("Redis does not answer")

    with monkeypatch.context() as patched:
        for part in (backend.redis_server, backend.presence, backend.tally):
            for name in {"look", "alive", "all"} & set(dir(part)):
                patched.setattr(part, name, away)
        page = told(client)
    assert len(looks) == 1, "each look may take as long as Redis is waited for"
    assert "Redis does not answer." in page
    assert page.count("Unknown") == 3
    with monkeypatch.context() as patched:
        patched.setattr(backend.db, "read", away)
        assert "Out of order" in told(client)


def test_the_settings_in_force_are_told(client: FlaskClient) -> None:
    page = told(client)
    assert "A lost worker is noticed after 3 seconds DEERFLOW_LEASE_SECONDS" in page
    assert "Who may call Everybody on this machine DEERFLOW_AUTH" in page


def test_who_does_not_administrate_sees_nothing_of_it(as_signed_in: SignIn, ada: User, backend: Backend) -> None:
    hers = as_signed_in(ada)
    page = hers.get("/console/system")
    assert page.status_code == 403
    assert "DEERFLOW_" not in page.text
    assert "/console/system" not in hers.get("/console/account").text
    assert (
        as_signed_in(make_user(backend, "root@example.com", role=Role.ADMIN)).get("/console/system").status_code == 200
    )
