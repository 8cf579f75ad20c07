"""The example project, on a folder of its own and a model that does not dawdle."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deerflow.settings import ROOT
from tests.conftest import SETUPS, live_on
from tests.databases import Databases
from tests.live import Live

EXAMPLE = ROOT / "examples" / "deerflow"
sys.path.insert(0, str(EXAMPLE))

from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402 - after the path
from lead_agent.agent import build_graph  # noqa: E402
from lead_agent.config import Config, load_config  # noqa: E402

from tests.integration.example.talking import Graph, Thread  # noqa: E402

NAMED = {
    "use": "lead_agent.fake_model:DeterministicModel",
    "pause_seconds": 0,
    "supports_thinking": True,
    "supports_reasoning_effort": True,
    "when_thinking_enabled": {"thinking": True},
}
"""What two entries of ``models`` have in common in these tests."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The configuration as it comes, without pauses, with little room for files, and with two models to choose from."""
    raw = load_config({}).model_dump()
    raw["models"] = [{"name": name, "model": name, **NAMED} for name in ("swift", "solid")]
    raw["stand_in"] = {"pause_seconds": 0}
    raw["workspace"] = {"root": tmp_path / "workspaces", "max_file_bytes": 1_000, "max_files": 3}
    return Config.model_validate(raw)


@pytest.fixture
def graph(config: Config) -> Graph:
    """The lead agent with a checkpointer."""
    return build_graph(config, {}).copy(update={"checkpointer": InMemorySaver()})


@pytest.fixture
def thread(graph: Graph) -> Thread:
    """A new conversation."""
    return Thread(graph)


@pytest.fixture(scope="module", params=SETUPS)
def live(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A whole server that serves the example."""
    server = live_on(request.param, databases, tmp_path_factory.mktemp("example"), EXAMPLE / "langgraph.json")
    server.start()
    yield server
    server.stop()
