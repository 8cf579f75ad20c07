"""A database from before there were accounts, brought to this release: all of it is the first administrator's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic import command

from app import create_app
from deerflow.auth import links
from deerflow.backend import Backend, open_backend, open_worker
from deerflow.cli.db import alembic_config, upgrade
from deerflow.domain.accounts import FIRST_ADMIN
from deerflow.domain.assistants import system_assistant_id
from deerflow.domain.ids import new_id
from deerflow.domain.principal import LOCAL, SYSTEM
from deerflow.graphs.savers import set_up
from deerflow.identity.set_up import announce
from deerflow.runtime.adopt import finish_adoptions
from deerflow.runtime.set_up import open_set_up
from deerflow.settings import Settings
from deerflow.storage import assistants, models
from tests.conftest import GRAPHS, SilentBell
from tests.databases import Databases
from tests.factories import LOCAL_USER, make_app
from tests.integration.identity.browsers import AUTH, PASSWORD
from tests.integration.identity.conftest import SECRET
from tests.integration.identity.test_setup_orphans import items, put_checkpoint


@pytest.fixture
def old(databases: Databases, settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a set-up whose schema is that of the release before."""
    url = f"sqlite:///{tmp_path}/old.db" if settings.database_url.startswith("sqlite") else databases.empty_postgres()
    chosen = settings.model_copy(update={"database_url": Settings(database_url=url).database_url, "config": GRAPHS})
    command.upgrade(alembic_config(chosen.database), "0002")
    asyncio.run(set_up(chosen.checkpoints))
    return chosen


@pytest.fixture
def before(old: Settings) -> Iterator[Backend]:
    """The release before, at work in mode ``none``."""
    opened = open_backend(old)
    opened.bell.close()
    object.__setattr__(opened, "bell", SilentBell())
    steps = {"assistant_id": system_assistant_id("steps"), "owner": SYSTEM, "graph_id": "steps", "name": "steps"}
    content = {"description": "old", "config": {}, "context": {}, "metadata": {"created_by": "system"}, "version": 1}
    with opened.db.begin() as tx:
        tx.execute(sa.insert(models.assistants).values(steps | content))
    yield opened
    opened.close()


def put_old(backend: Backend, *, topic: str) -> tuple[UUID, UUID]:
    """A thread with a run that has ended, in the columns that there were; this release's code needs later ones."""
    thread_id, run_id = new_id(), new_id()
    ids = {"thread_id": thread_id, "owner": LOCAL, "metadata": {"topic": topic}}
    thread = {"status": "idle", "resting": "idle", "config": {}, "last_ordinal": 1, "fence": 1}
    run = {
        "run_id": run_id, "assistant_id": system_assistant_id("steps"), "graph_id": "steps", "ordinal": 1,
        "status": "success", "kwargs": {"input": None}, "multitask_strategy": "enqueue", "attempt": 1, "crashes": 0,
        "progressed": True, "rings": 1, "events_upto": 0, "fence": 1,
    }  # fmt: skip
    with backend.db.begin() as tx:
        tx.execute(sa.insert(models.threads).values(ids | thread))
        tx.execute(sa.insert(models.runs).values(ids | run))
    return thread_id, run_id


def test_all_of_an_old_database_is_the_administrators(old: Settings, before: Backend) -> None:
    """Through the API: threads, runs, store items, and a thread of which there is but a checkpoint."""
    (thread_id, run_id), found = put_old(before, topic="old"), uuid4()

    async def fill() -> None:
        async with open_worker(old, user_code=False) as worker:
            await put_checkpoint(worker.savers, found, graph_id="steps")
            await worker.savers.store(LOCAL).aput(("a",), "x", {"is": 1})

    asyncio.run(fill())
    chosen = old.model_copy(update={"auth": "accounts", "secret": SECRET})
    upgrade(chosen)
    with before.db.read() as tx:
        (version,) = assistants.versions(tx, LOCAL_USER, system_assistant_id("steps"), metadata=None, limit=9, offset=0)
    assert (version.version, version.graph_id, version.description) == (1, "steps", None)
    app = make_app(chosen, before)
    client = app.test_client()
    assert client.post("/threads/search", json={}).status_code == 401
    waiting = open_set_up(before)
    assert waiting is not None
    token = links.set_up_path([SECRET], waiting).partition("token=")[2]
    body = {"token": token, "email": "ada@example.com", "password": PASSWORD}
    signed_in = client.post(f"{AUTH}/initialize", json=body)
    assert signed_in.status_code == 201
    csrf = {"X-CSRFToken": signed_in.get_json()["csrf_token"]}

    async def finish() -> None:
        async with open_worker(old, user_code=False) as clock:
            await finish_adoptions(clock)
            assert await items(clock.savers, str(FIRST_ADMIN)) == {("a", "x"): 1}

    asyncio.run(finish())
    there = client.post("/threads/search", json={"limit": 100}, headers=csrf).get_json()
    assert {thread["thread_id"] for thread in there} == {str(each) for each in (thread_id, found)}
    labelled = client.post("/threads/search", json={"metadata": {"topic": "old"}}, headers=csrf).get_json()
    assert [thread["thread_id"] for thread in labelled] == [str(thread_id)]
    assert client.get(f"/threads/{thread_id}").get_json()["metadata"] == {"topic": "old"}
    assert client.get(f"/threads/{thread_id}/runs/{run_id}").get_json()["status"] == "success"


def test_until_then_this_release_says_what_to_do(old: Settings) -> None:
    """Its web process started before the migrations ran. Afterwards it needs no other start."""
    chosen = old.model_copy(update={"auth": "accounts", "secret": SECRET})
    app = create_app(chosen)
    announce(app, chosen)
    client = app.test_client()
    login = {"email": "ada@example.com", "password": PASSWORD}
    wanted = [("/threads", {}), (f"{AUTH}/login", login), (f"{AUTH}/initialize", {"token": "x", **login})]
    for path, body in wanted:
        told = client.post(path, json=body, headers={"x-api-key": "df_x"})
        assert (told.status_code, told.get_json()["detail"].partition(": ")[2]) == (503, "flask --app app db upgrade")
    assert client.get("/console/").status_code == 503
    assert client.get(f"{AUTH}/setup-status").get_json() == {"status": "unknown"}
    upgrade(chosen)
    assert client.post("/threads", json={}).status_code == 401
    assert client.get(f"{AUTH}/setup-status").get_json() == {"status": "needed"}
    app.extensions["deerflow"].close()
