"""langgraph.json unmodified: a project with module names of ours, and every kind of graph it may name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import Live

PROJECT = Path(__file__).parent.parent / "projects" / "clash" / "langgraph.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The server on that project."""
    folder = tmp_path_factory.mktemp("project")
    live = Live(folder, PROJECT, CLASH_TRACE=str(folder / "trace"))
    live.start()
    yield live
    live.stop()


@pytest.mark.parametrize("graph", ["clash", "by_module", "builder"])
def test_the_projects_own_modules_win(project: Live, graph: str) -> None:
    """app, tasks, settings, deerflow and tests are the project's for the project, also when imported late."""
    thread = project.client().threads.create()["thread_id"]
    values = project.client().runs.wait(thread, graph, input={})
    assert values["words"] == [
        "the project's app",
        "the project's tasks",
        "the project's settings",
        "the project's deerflow",
        "the project's tests",
        "a local dependency",
        "from the env file",
    ]
    assert values["late"] == "the project's tasks"
    assert project.client().threads.get_state(thread)["values"]["late"] == "the project's tasks"


@pytest.mark.parametrize(
    ("graph", "made_by"),
    [("sync_factory", "sync"), ("async_factory", "async"), ("managed", "managed")],
)
def test_factories_get_the_runs_own_config(project: Live, graph: str, made_by: str) -> None:
    """Built anew for each run, so two runs see two configurations."""
    for colour in ("red", "blue"):
        thread = project.client().threads.create()["thread_id"]
        config = {"configurable": {"colour": colour}}
        values = project.client().runs.wait(thread, graph, input={}, config=config)
        assert (values["made_by"], values["colour"], values["remembered"]) == (made_by, colour, colour)


def test_factories_get_a_runtime(project: Live) -> None:
    """The runtime says what the graph is wanted for, and has the run's context."""
    thread = project.client().threads.create()["thread_id"]
    values = project.client().runs.wait(thread, "runtime_factory", input={}, context={"colour": "green"})
    assert (values["colour"], values["access"]) == ("green", "threads.create_run")
    values = project.client().runs.wait(thread, "both_factory", input={})
    assert (values["colour"], values["access"]) == (thread, "threads.create_run")
    assert project.client().runs.wait(thread, "bare_factory", input={})["made_by"] == "bare"


def test_context_manager_is_left_after_the_run(project: Live) -> None:
    """Whatever was opened for a run is closed again, also when a look at the thread opened it."""
    thread = project.client().threads.create()["thread_id"]
    project.client().runs.wait(thread, "managed", input={})
    project.client().threads.get_state(thread)
    noted = (project.folder / "trace").read_text().splitlines()
    assert noted
    assert noted == ["opened", "closed"] * (len(noted) // 2)


def test_system_assistants(project: Live) -> None:
    """Every graph has an assistant of its name; a description is handed on."""
    found = {a["graph_id"]: a for a in project.client().assistants.search(limit=100)}
    assert set(found) >= {"clash", "managed", "builder"}
    assert found["builder"]["description"] == "not compiled"
    assert all(a["name"] == graph_id for graph_id, a in found.items())


def test_env_cannot_redirect_the_server(project: Live) -> None:
    """DATABASE_URL in the project's env file does not reach our settings."""
    assert project.http().get("/ok?check_db=1").is_success
    assert "redirected" not in project.log.read_text()
