"""Chaos tests have a server of their own, because they kill its processes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deerflow.events.connections import connect
from deerflow.settings import Settings
from tests.conftest import live_on, wait_for
from tests.databases import Databases
from tests.live import Live


@pytest.fixture
def thread(live: Live) -> str:
    """A new thread of the shared server."""
    return str(live.client().threads.create()["thread_id"])


@pytest.fixture
def make_server(databases: Databases, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Makes servers for tests that stop or restart a whole one; all are stopped at the end."""
    made: list[Live] = []

    def make(setup: str, **environment: Any) -> Live:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        server = live_on(setup, databases, folder, **environment)
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop_if_running()
        databases.give_back(server.database_url)


def status(live: Live, run: dict[str, Any]) -> str:
    """A run's status now."""
    return str(live.client().runs.get(run["thread_id"], run["run_id"])["status"])


def until(live: Live, run: dict[str, Any], wanted: str, *, seconds: float = 60.0) -> None:
    """Wait for a run's status."""
    wait_for(lambda: status(live, run) == wanted, seconds=seconds, what=f"status {wanted}")


def until_stored(live: Live, thread: str, node: str) -> None:
    """Wait until the step before *node*, which is held, is stored: else it may run again when its worker dies."""
    wait_for(lambda: live.client().threads.get_state(thread)["next"] == [node], what=f"a checkpoint before {node}")


def until_acknowledged(live: Live, run_id: str) -> None:
    """A worker that loses Redis before it has acknowledged a message starts anew and hands its runs over."""
    client = connect(Settings(data=live.folder / "data", redis_url="").redis)
    wait_for(
        lambda: not any(run_id.encode() in message for message in client.hvals("unacked")),
        what="the acknowledgement",
    )
    client.close()
