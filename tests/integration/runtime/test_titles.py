"""When a thread gets its title, who may change it, and what becomes of it."""

from typing import Any

import pytest
import sqlalchemy as sa

from deerflow.backend import Backend
from deerflow.domain import titles
from deerflow.domain.ids import new_id
from deerflow.domain.runs import Run
from deerflow.domain.threads import ThreadHead
from deerflow.domain.words import CancelAction
from deerflow.runtime.build import Built, settle
from deerflow.runtime.cancel import cancel
from deerflow.storage import cancels, models, threads
from tests.factories import OWNER, claim_run, finish_run, make_run, make_running, make_thread, thread_of

HELLO = {"messages": [{"role": "user", "content": "hello there"}]}


def title_of(backend: Backend, run: Run) -> str | None:
    return thread_of(backend, run).title


def end(backend: Backend, run: Run, values: Any) -> None:
    """Let a run end with a state."""
    running = claim_run(backend, run)
    assert running is not None
    assert finish_run(backend, running, head=ThreadHead(values, (), {}))


def test_a_thread_has_its_title_when_its_first_run_is_accepted(backend: Backend) -> None:
    """And the second one leaves it alone."""
    first = make_run(backend, input=HELLO)
    assert title_of(backend, first) == "hello there"
    make_run(backend, thread_id=first.thread_id, input={"messages": "something else"})
    assert title_of(backend, first) == "hello there"


def test_a_name_that_a_client_gave_goes_first(backend: Backend) -> None:
    thread = make_thread(backend, title="Mine")
    assert thread.title == "Mine"
    run = make_run(backend, thread_id=thread.thread_id, input=HELLO)
    assert title_of(backend, run) == "Mine"
    with backend.db.begin() as tx:
        threads.change(tx, OWNER, thread.thread_id, {"title": "Still mine"})
    end(backend, run, {"title": "The graph's", **HELLO})
    assert title_of(backend, run) == "Still mine"


def test_a_name_that_the_graph_finds_replaces_the_question_and_its_own_earlier_one(backend: Backend) -> None:
    run = make_run(backend, input=HELLO)
    end(backend, run, {"title": "A greeting", **HELLO})
    assert title_of(backend, run) == "A greeting"
    again = make_run(backend, thread_id=run.thread_id, input=HELLO)
    end(backend, again, {"title": "Two greetings", **HELLO})
    assert title_of(backend, run) == "Two greetings"


def test_a_run_without_a_question_leaves_the_one_that_its_state_has(backend: Backend) -> None:
    run = make_run(backend)
    assert title_of(backend, run) is None
    end(backend, run, HELLO)
    assert title_of(backend, run) == "hello there"


def test_an_edit_may_be_the_first_to_say_something(backend: Backend) -> None:
    thread = make_thread(backend)
    with backend.db.begin() as tx:
        token = threads.raise_fence(tx, thread.thread_id)
        threads.settle_edit(tx, thread.thread_id, fence=token, head=ThreadHead(HELLO, (), {}))
    with backend.db.read() as tx:
        assert threads.get(tx, OWNER, thread.thread_id).title == "hello there"


@pytest.mark.parametrize("next_title", ["what came next", None])
def test_a_question_that_was_taken_back_names_nothing(backend: Backend, next_title: str | None) -> None:
    running = make_running(backend, input=HELLO)
    if next_title:
        make_run(backend, thread_id=running.thread_id, input={"messages": next_title})
    with backend.db.begin() as tx:
        assert cancels.roll_back(tx, running)
    assert title_of(backend, running) == next_title


def test_a_rollback_takes_back_no_name_of_somebody_else(backend: Backend) -> None:
    first = make_run(backend, input=HELLO)
    end(backend, first, HELLO)
    second = make_run(backend, thread_id=first.thread_id, input={"messages": "never mind"})
    cancel(backend, OWNER, second.thread_id, second.run_id, CancelAction.ROLLBACK)
    assert title_of(backend, first) == "hello there"


def test_a_copy_is_called_as_what_it_was_copied_from(backend: Backend) -> None:
    run = make_run(backend, input=HELLO)
    source = thread_of(backend, run)
    with backend.db.begin() as tx:
        token = threads.reserve(tx, made := new_id(), seconds=90.0)
        built = Built(made, token, source.metadata, None, ThreadHead({"messages": "another"}, (), {}), source)
        assert settle(tx, OWNER, built).title == "hello there"


def test_a_thread_with_a_past_is_called_by_its_first_question(backend: Backend) -> None:
    with backend.db.begin() as tx:
        token = threads.reserve(tx, made := new_id(), seconds=90.0)
        assert settle(tx, OWNER, Built(made, token, {}, None, ThreadHead(HELLO, (), {}))).title == "hello there"


@pytest.mark.parametrize("odd", [[], {"messages": [[]]}, {"messages": "a\x00b"}, {"": {}}, 3, "x" * 10_000_000])
def test_no_input_is_too_odd_for_a_title(backend: Backend, odd: Any) -> None:
    """Nor too large."""
    assert len(title_of(backend, make_run(backend, input=odd)) or "") <= titles.LONGEST


def test_titles_of_old_threads_come_with_their_next_run(backend: Backend) -> None:
    run = make_run(backend, input=HELLO)
    with backend.db.begin() as tx:
        tx.execute(sa.update(models.threads).values(title=None))
    make_run(backend, thread_id=run.thread_id, input={"messages": "hello again"})
    assert title_of(backend, run) == "hello again"
