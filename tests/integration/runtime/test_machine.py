"""A machine that does anything in any order to threads, and a model of the rules that says what must come of it.

Create, cancel, answer, edit, delete; rings delivered, doubled, lost; workers killed at any point, frozen and thawed,
drained; the clock. ``DEERFLOW_TEST_EXAMPLES=500 pytest tests/integration/runtime/test_machine.py`` runs it for longer,
and then with new examples each time.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from deerflow.backend import Backend
from deerflow.settings import Settings
from tests.integration.runtime.machine import Machine
from tests.integration.runtime.model import CRASH_LIMIT
from tests.integration.runtime.world import MachineBell, StateWorker, World

PROJECT = Path(__file__).parent.parent.parent / "projects" / "machine" / "langgraph.json"
EXAMPLES = int(os.environ.get("DEERFLOW_TEST_EXAMPLES", "0"))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that never lapse by themselves: the machine decides who is dead."""
    return settings.model_copy(
        update={"config": PROJECT, "lease_seconds": 120, "lease_beat_seconds": 40, "crash_limit": CRASH_LIMIT}
    )


@pytest.fixture
def bell() -> MachineBell:
    """Messages in the machine's hands."""
    return MachineBell()


@pytest.fixture
def world(settings: Settings, backend: Backend, bell: MachineBell) -> Iterator[World]:
    """The system under test."""
    bell.state = StateWorker(settings)
    made = World(backend, settings, bell, settings.data)
    yield made
    made.close()
    bell.state.close()


@pytest.mark.timeout(300 + 10 * EXAMPLES)
def test_rules_hold_whatever_happens(world: World) -> None:
    """In any order, with deaths at any point: one at a time, in order, one end each, nothing lost, nothing twice."""

    class Bound(Machine):
        def __init__(self) -> None:
            super().__init__(world)

    asked = hypothesis_settings(
        max_examples=EXAMPLES or 20,
        stateful_step_count=30,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(Bound, settings=asked)
