"""Run again: the new run is asked for exactly what the first one was."""

from typing import Any

import pytest

from deerflow.backend import Backend
from deerflow.domain.assistants import AssistantSpec
from deerflow.domain.ids import new_id
from deerflow.domain.runs import Run
from deerflow.domain.words import MultitaskStrategy, StreamMode
from deerflow.errors import Conflict, NotFound
from deerflow.runtime.again import run_again
from deerflow.storage import assistants, runs
from tests.factories import OWNER, at_once, finish_run, make_run, make_running, row_of

ASKED: list[dict[str, Any]] = [
    {"input": {"a": 1}},
    {"input": None, "command": {"resume": "yes"}},
    {"input": {}, "config": {"recursion_limit": 7, "tags": ["t"], "configurable": {"words": 3}}},
    {"input": {}, "context": {"model": "m"}},
    {"input": {}, "request": {"x-tenant": "red"}},
    {"input": {}, "checkpoint": {"checkpoint_id": str(new_id())}, "interrupt_before": ["two"], "metadata": {"m": 1}},
    {"input": {}, "stream_modes": (StreamMode.UPDATES, StreamMode.TASKS), "stream_subgraphs": True},
]


def again(backend: Backend, run: Run, press: str = "one") -> Run:
    made = run_again(backend, OWNER, run, press=press)
    with backend.db.read() as tx:
        return runs.get(tx, OWNER, run.thread_id, made)


@pytest.mark.parametrize("asked", ASKED)
def test_it_is_asked_for_the_same(backend: Backend, asked: dict[str, Any]) -> None:
    with backend.db.begin() as tx:
        spec = AssistantSpec("steps", config={"configurable": {"of": "the agent"}}, context={}, metadata={"by": "us"})
        agent = assistants.create(tx, OWNER, new_id(), spec)
    first = make_run(backend, assistant=str(agent.assistant_id), **asked)
    second = again(backend, first)
    assert second.run_id != first.run_id
    assert (second.thread_id, second.assistant_id) == (first.thread_id, first.assistant_id)
    assert (second.kwargs, second.metadata) == (first.kwargs, first.metadata)


def test_it_waits_for_its_turn(backend: Backend) -> None:
    """Whatever the first one did to others: it stops nothing, and is not refused."""
    first = make_run(backend, multitask_strategy=MultitaskStrategy.ROLLBACK)
    second = again(backend, first)
    assert second.multitask_strategy is MultitaskStrategy.ENQUEUE
    assert row_of(backend, first).cancel_action is None


def test_a_cron_has_not_begun_it(backend: Backend) -> None:
    first = make_run(backend, metadata={"cron_id": "a", "m": 1}, request={"cron_id": "a"})
    second = again(backend, first)
    assert "cron_id" not in second.metadata
    assert "cron_id" not in second.kwargs["config"]["configurable"]
    assert second.metadata["m"] == 1


def test_a_double_click_runs_once(backend: Backend) -> None:
    first = make_running(backend)
    finish_run(backend, first)
    made = at_once(*(lambda: run_again(backend, OWNER, first, press="one") for _ in range(2)))
    assert made[0] == made[1]
    assert run_again(backend, OWNER, first, press="two") != made[0]


def test_a_press_is_for_one_run(backend: Backend) -> None:
    again(backend, make_run(backend))
    with pytest.raises(Conflict):
        again(backend, make_run(backend))


def test_an_agent_that_has_gone_runs_no_more(backend: Backend) -> None:
    with backend.db.begin() as tx:
        agent = assistants.create(tx, OWNER, new_id(), AssistantSpec("steps"))
    first = make_run(backend, assistant=str(agent.assistant_id))
    with backend.db.begin() as tx:
        assistants.delete(tx, OWNER, agent.assistant_id)
    with pytest.raises(NotFound):
        again(backend, first)
