"""The project's own handlers and the pages: they are asked about as the API is, and shown the same."""

import re
from uuid import UUID, uuid4

import sqlalchemy as sa

from deerflow.backend import Backend
from deerflow.storage import models
from tests.factories import make_key, make_user
from tests.integration.identity.answering import AnsweringBell
from tests.integration.identity.handlers.conftest import Caller, make, start


def test_a_pages_form_is_asked_about_as_well(as_: Caller, backend: Backend) -> None:
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


def test_a_form_that_makes_something_is_taken_with_the_token_of_its_page(as_: Caller, mode: str) -> None:
    """In mode ``accounts`` a page has a token also for whom a handler names; in mode ``none`` there is none to send."""
    ada, form = as_("ada"), {"graph_id": "who", "name": "Mine"}
    tokens = re.findall(r'name="csrf_token" type="hidden" value="([^"]+)"', ada.get("/console/agents/new").text)
    if mode == "accounts":
        refused = ada.post("/console/agents/new", data=form)
        assert (refused.status_code, "open for too long" in refused.text) == (200, True)
        form["csrf_token"] = tokens.pop()
    assert tokens == []
    made = ada.post("/console/agents/new", data=form)
    assert made.status_code == 303, made.text
    assert "Mine" in ada.get(made.headers["Location"]).text
    assert ada.post("/assistants/count", json={"name": "Mine"}).get_json() == 1


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
