"""The Python SDK's crons, unmodified."""

from datetime import UTC, datetime

import pytest
from langgraph_sdk.errors import BadRequestError, NotFoundError, UnprocessableEntityError

from deerflow.domain.assistants import system_assistant_id
from tests.conformance.conftest import Sdk

STEPS = str(system_assistant_id("steps"))
NEW_YEAR = "0 0 1 1 *"


def test_life_of_a_cron(sdk: Sdk) -> None:
    """Created, found, counted, changed and deleted."""
    metadata, end = {"life": "of a cron"}, datetime(2040, 1, 1, tzinfo=UTC)
    cron = sdk.crons.create(
        "steps",
        schedule=NEW_YEAR,
        input={"pause": 0.1},
        metadata=metadata,
        config={"tags": ["t"], "configurable": {"x": 1}},
        interrupt_before=["two"],
        webhook="https://example.org/hook",
        on_run_completed="keep",
        end_time=end,
        enabled=True,
        timezone="America/New_York",
        stream_mode=["values"],
        durability="exit",
    )
    assert (cron["assistant_id"], cron["thread_id"], cron["on_run_completed"]) == (STEPS, None, "keep")
    assert cron["next_run_date"].endswith("-01-01T05:00:00.000000+00:00")
    assert cron["payload"]["config"]["configurable"] == {"x": 1, "cron_id": cron["cron_id"]}
    wanted = {"assistant_id": STEPS, "metadata": metadata}
    assert sdk.crons.search(**wanted, enabled=True, sort_by="next_run_date", sort_order="asc") == [cron]
    assert sdk.crons.search(**wanted, select=["cron_id"]) == [{"cron_id": cron["cron_id"]}]
    assert sdk.crons.count(**wanted) == 1
    changed = sdk.crons.update(cron["cron_id"], enabled=False, end_time=None, input={"pause": 0})
    assert (changed["enabled"], changed["end_time"], changed["next_run_date"]) == (False, None, None)
    assert changed["payload"]["input"] == {"pause": 0}
    assert sdk.crons.search(**wanted, enabled=True) == []
    sdk.crons.delete(cron["cron_id"])
    assert sdk.crons.count(**wanted) == 0
    with pytest.raises(NotFoundError):
        sdk.crons.delete(cron["cron_id"])


def test_a_threads_cron(sdk: Sdk) -> None:
    """It is found by its thread, and goes with it."""
    thread_id = sdk.threads.create()["thread_id"]
    cron = sdk.crons.create_for_thread(thread_id, "steps", schedule="@yearly", multitask_strategy="interrupt")
    assert (cron["thread_id"], cron["on_run_completed"]) == (thread_id, None)
    assert sdk.crons.search(thread_id=thread_id) == [cron]
    sdk.threads.delete(thread_id)
    assert sdk.crons.count(thread_id=thread_id) == 0


def test_errors_are_sentences(sdk: Sdk) -> None:
    cron_id = sdk.crons.create("steps", schedule=NEW_YEAR)["cron_id"]
    with pytest.raises(UnprocessableEntityError, match="Invalid cron schedule: 'bad'"):
        sdk.crons.create("steps", schedule="bad")
    with pytest.raises(UnprocessableEntityError, match="Invalid timezone: 'Mars/X'"):
        sdk.crons.update(cron_id, timezone="Mars/X")
    with pytest.raises(NotFoundError, match="Assistant 'nope' not found"):
        sdk.crons.create("nope", schedule=NEW_YEAR)
    with pytest.raises(BadRequestError, match="cannot be empty"):
        sdk.crons.update(cron_id)
    sdk.crons.delete(cron_id)
