"""A caller's runs over all threads: newest first, by what they are, and nobody else's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from deerflow.backend import Backend
from deerflow.domain.assistants import system_assistant_id
from deerflow.domain.ids import new_id
from deerflow.domain.principal import PERMISSIONS, Principal, Proof
from deerflow.domain.run_list import RunLine, RunWanted
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import CancelAction, RunStatus
from deerflow.runtime.cancel import cancel
from deerflow.storage import models, run_search
from tests.factories import OWNER, STRANGER, TEAM_MATE, finish_run, make_key, make_run, make_running, make_user, row_of

ASKED = ThreadHead({}, ("ask",), {"task": [{"id": "1", "value": "ok?"}]})
PAUSED = ThreadHead({}, ("two",), {})


def page(
    backend: Backend, wanted: RunWanted | None = None, principal: Principal = OWNER, limit: int = 25, offset: int = 0
) -> list[RunLine]:
    with backend.db.read() as tx:
        return run_search.page(tx, principal, wanted or RunWanted(), limit=limit, offset=offset)


def counts(backend: Backend, wanted: RunWanted | None = None, principal: Principal = OWNER) -> dict[RunStatus, int]:
    with backend.db.read() as tx:
        return dict(run_search.counts(tx, principal, wanted or RunWanted()))


def ids(lines: list[RunLine]) -> list[object]:
    return [line.run_id for line in lines]


@pytest.fixture
def ended(backend: Backend) -> dict[str, Run]:
    """A run that ended in each way, on a thread each."""
    made: dict[str, Run] = {}
    for name, ending in {
        "done": {},
        "asks": {"head": ASKED},
        "paused": {"head": PAUSED},
        "failed": {"status": RunStatus.ERROR, "error": {"error": "ValueError", "message": "boom"}},
        "stopped": {"status": RunStatus.INTERRUPTED},
    }.items():
        made[name] = make_running(backend)
        assert finish_run(backend, made[name], **ending)
    return made


def test_newest_first_and_page_by_page(backend: Backend) -> None:
    made = [make_run(backend).run_id for _ in range(5)]
    assert ids(page(backend)) == made[::-1]
    assert ids(page(backend, limit=2, offset=2)) == [made[2], made[1]]
    assert page(backend, limit=2, offset=9) == []


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (RunWanted((RunStatus.SUCCESS,)), {"done", "asks", "paused"}),
        (RunWanted((RunStatus.SUCCESS,), asks=True), {"asks"}),
        (RunWanted((RunStatus.SUCCESS,), asks=False), {"done", "paused"}),
        (RunWanted((RunStatus.ERROR, RunStatus.INTERRUPTED)), {"failed", "stopped"}),
        (RunWanted((RunStatus.PENDING,)), set()),
    ],
)
def test_by_status(backend: Backend, ended: dict[str, Run], wanted: RunWanted, names: set[str]) -> None:
    """What a page shows is what is counted."""
    assert set(ids(page(backend, wanted))) == {ended[name].run_id for name in names}
    assert sum(counts(backend, wanted).values()) == len(names)


def test_a_question_that_is_answered_is_no_longer_asked(backend: Backend, ended: dict[str, Run]) -> None:
    of_thread = RunWanted(thread_id=ended["asks"].thread_id)
    answer = make_running(backend, thread_id=of_thread.thread_id, command={"resume": "yes"})
    assert [line.asks for line in page(backend, of_thread)] == [False, False]
    assert finish_run(backend, answer, head=ASKED), "and asks the next one"
    assert [line.asks for line in page(backend, of_thread)] == [True, False]
    assert ids(page(backend, RunWanted((RunStatus.SUCCESS,), asks=True))) == [answer.run_id]


def test_an_answer_that_was_stopped_before_it_began_is_none(backend: Backend, ended: dict[str, Run]) -> None:
    answer = make_run(backend, thread_id=ended["asks"].thread_id, command={"resume": "yes"})
    cancel(backend, OWNER, answer.thread_id, answer.run_id, CancelAction.INTERRUPT)
    assert ids(page(backend, RunWanted((RunStatus.SUCCESS,), asks=True))) == [ended["asks"].run_id]
    assert [line.asks for line in page(backend, RunWanted(thread_id=answer.thread_id))] == [False, True]


def test_by_agent_thread_and_age(backend: Backend) -> None:
    chat, steps = make_run(backend, assistant="chat"), make_run(backend, assistant="steps")
    assert ids(page(backend, RunWanted(assistant_id=system_assistant_id("chat")))) == [chat.run_id]
    assert ids(page(backend, RunWanted(thread_id=steps.thread_id))) == [steps.run_id]
    assert ids(page(backend, RunWanted(thread_id=new_id()))) == []
    assert len(page(backend, RunWanted(since=datetime.now(UTC) - timedelta(minutes=1)))) == 2
    assert page(backend, RunWanted(since=datetime.now(UTC) + timedelta(minutes=1))) == []


@pytest.mark.usefixtures("ended")
def test_nobody_elses_runs_are_seen_or_counted(backend: Backend) -> None:
    theirs = make_run(backend, TEAM_MATE)
    assert ids(page(backend, principal=TEAM_MATE)) == [theirs.run_id]
    assert counts(backend, principal=TEAM_MATE) == {RunStatus.PENDING: 1}
    assert counts(backend, RunWanted((RunStatus.SUCCESS,), asks=True), TEAM_MATE) == {}
    assert page(backend, RunWanted(thread_id=theirs.thread_id)) == []
    with backend.db.read() as tx:
        assert run_search.line(tx, STRANGER, theirs.run_id) is None
        assert run_search.inflight(tx, OWNER, theirs.thread_id) == []
        assert [each.run_id for each in run_search.inflight(tx, TEAM_MATE, theirs.thread_id)] == [theirs.run_id]


def test_a_filter_of_the_project_says_whose_they_are(backend: Backend) -> None:
    """It goes by the thread's metadata, whoever owns the thread."""
    shared = make_run(backend, TEAM_MATE)
    with backend.db.begin() as tx:
        mine = sa.update(models.threads).where(models.threads.c.thread_id == shared.thread_id)
        tx.execute(mine.values(metadata={"team": "red"}))
    make_run(backend)
    red = replace(OWNER, filters={"threads": {"team": "red"}})
    assert ids(page(backend, principal=red)) == [shared.run_id]
    assert counts(backend, principal=red) == {RunStatus.PENDING: 1}


def test_a_line_tells_what_people_want_to_know(backend: Backend, ended: dict[str, Run]) -> None:
    told = {name: next(line for line in page(backend) if line.run_id == run.run_id) for name, run in ended.items()}
    assert {name: line.error_name for name, line in told.items() if line.error_name} == {"failed": "ValueError"}
    assert [name for name, line in told.items() if line.asks] == ["asks"]
    done = told["done"]
    assert (done.agent, done.graph_id, done.attempt, done.key_id, done.cron_id) == ("steps", "steps", 1, None, None)
    assert done.started_at is not None
    assert done.ended_at is not None


def test_an_agent_that_has_gone_leaves_its_graphs_name(backend: Backend) -> None:
    run = make_run(backend)
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.runs).where(models.runs.c.run_id == run.run_id).values(assistant_id=new_id()))
    (line,) = page(backend)
    assert (line.agent, line.graph_id) == (None, "steps")


def test_a_run_knows_the_key_it_was_created_with(backend: Backend) -> None:
    user = make_user(backend, "owner@example.com")
    make_key(backend, user)
    with backend.db.read() as tx:
        key_id = tx.scalar(sa.select(models.api_keys.c.key_id))
    by_key = Principal(user.owner, PERMISSIONS, Proof.KEY, key_id)
    by_session = Principal(user.owner, PERMISSIONS, Proof.SESSION, new_id())
    runs = [make_run(backend, by_key), make_run(backend, by_session)]
    assert [row_of(backend, run).key_id for run in runs] == [key_id, None]
    assert [line.key_name for line in page(backend, principal=by_key)] == [None, "of a test"]


def test_a_run_of_a_cron_says_so(backend: Backend) -> None:
    make_run(backend, metadata={"cron_id": "a-cron"})
    assert [line.cron_id for line in page(backend)] == ["a-cron"]
