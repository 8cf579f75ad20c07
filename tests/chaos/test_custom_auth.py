"""A project with handlers of its own, served as a user serves it: the Python SDK with a token."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient
from langgraph_sdk.errors import APIStatusError

from tests.conftest import SETUPS, wait_for
from tests.databases import Databases
from tests.live import ROOT, Live, free_port

PROJECT = Path(__file__).parent.parent / "projects" / "custom_auth" / "langgraph.json"
TOKEN = "of-ada-alone"
ALL_MODES = ["values", "updates", "messages-tuple", "tasks", "checkpoints", "debug", "events", "custom"]

Sdk = Callable[[str], SyncLangGraphClient]


@pytest.fixture(scope="module", params=SETUPS)
def served(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """The server on that project."""
    folder = tmp_path_factory.mktemp(f"custom-{request.param}")
    url = "" if request.param == "sqlite" else databases.empty_postgres()
    server = Live(folder, PROJECT, database_url=url)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sdk(served: Live) -> Iterator[Sdk]:
    """The SDK with a user's token."""
    made: list[SyncLangGraphClient] = []

    def client(name: str, prefix: str = "") -> SyncLangGraphClient:
        found = get_sync_client(url=served.url + prefix, headers={"Authorization": f"Bearer {name}"})
        made.append(found)
        return found

    yield client
    for each in made:
        each.http.client.close()


def refusal(act: Callable[[], object]) -> tuple[int, Any]:
    with pytest.raises((APIStatusError, httpx.HTTPStatusError)) as raised:  # waits are told by the latter
        act()
    return raised.value.response.status_code, raised.value.response.json()["detail"]


def test_a_graph_knows_its_caller(sdk: Sdk) -> None:
    """The whole user in the configuration, by item and by attribute, and in the runtime."""
    ada = sdk("ada")
    seen = ada.runs.wait(ada.threads.create()["thread_id"], "who", input={})["seen"]
    assert seen["user"]["token"] == TOKEN
    assert (seen["attribute"], seen["runtime"], seen["user_id"], seen["auth_user_id"]) == ("red", "ada", "ada", "ada")
    assert seen["permissions"] == ["delete"]
    assert sdk("bob").runs.wait(None, "who", input={})["seen"]["user"]["identity"] == "bob"


def test_a_factory_knows_who_runs_and_who_looks(sdk: Sdk) -> None:
    ada, bob = sdk("ada"), sdk("bob")
    thread_id = ada.threads.create()["thread_id"]
    assert ada.runs.wait(thread_id, "made", input={}) == {"seen": {"nothing": True}}
    assert bob.threads.get_state(thread_id)["values"] == {"seen": {"nothing": True}}
    assert len(bob.threads.get_history(thread_id)) == 3
    ada.threads.update_state(thread_id, {"seen": {"edited": True}})
    assert bob.threads.get_state(thread_id)["values"] == {"seen": {"edited": True}}


def test_a_client_passes_for_nobody_else(sdk: Sdk) -> None:
    """scenario 43"""
    forged = {"langgraph_auth_user": {"identity": "eve"}, "langgraph_auth_user_id": "eve", "user_id": "eve"}
    bob = sdk("bob")
    for said in ({"config": {"configurable": forged}}, {"context": forged}):
        seen = bob.runs.wait(None, "who", input={}, **said)["seen"]
        assert (seen["user"]["identity"], seen["user_id"], seen["auth_user_id"]) == ("bob", "bob", "bob")


def test_a_team_shares_threads_and_others_find_nothing(sdk: Sdk) -> None:
    ada, bob, eve = sdk("ada"), sdk("bob"), sdk("eve")
    thread = ada.threads.create(metadata={"owner": "eve", "team": "blue"})
    thread_id = thread["thread_id"]
    assert thread["metadata"] == {"owner": "ada", "team": "red"}
    run = bob.runs.create(thread_id, "who", input={})
    bob.runs.join(thread_id, run["run_id"])
    assert ada.runs.get(thread_id, run["run_id"])["metadata"]["owner"] == "bob"
    assert ada.threads.get_state(thread_id)["values"]["seen"]["user_id"] == "bob"
    assert thread_id in {t["thread_id"] for t in bob.threads.search(limit=100)}
    assert thread_id not in {t["thread_id"] for t in eve.threads.search(limit=100)}
    hidden: list[Callable[[], object]] = [
        lambda: eve.threads.get(thread_id),
        lambda: eve.threads.get_state(thread_id),
        lambda: eve.threads.get_history(thread_id),
        lambda: eve.threads.update_state(thread_id, {}),
        lambda: eve.threads.update(thread_id, metadata={}),
        lambda: eve.threads.delete(thread_id),
        lambda: eve.runs.list(thread_id),
        lambda: eve.runs.create(thread_id, "who"),
        lambda: eve.runs.wait(thread_id, "who"),
        lambda: list(eve.runs.stream(thread_id, "who")),
        lambda: eve.runs.get(thread_id, run["run_id"]),
        lambda: eve.runs.join(thread_id, run["run_id"]),
        lambda: list(eve.runs.join_stream(thread_id, run["run_id"])),
        lambda: eve.runs.cancel(thread_id, run["run_id"]),
    ]
    assert [refusal(act)[0] for act in hidden] == [404] * len(hidden)
    assert refusal(lambda: bob.threads.delete(thread_id)) == (403, "Forbidden")
    ada.threads.delete(thread_id)


def test_a_team_mate_has_a_copy_of_their_own(sdk: Sdk) -> None:
    """Who may read a thread may copy it; the handler for new threads says whose the copy is. Others see neither."""
    ada, bob, eve = sdk("ada"), sdk("bob"), sdk("eve")
    source = ada.threads.create(metadata={"m": 1})["thread_id"]
    ada.runs.wait(source, "who", input={})
    copy = bob.threads.copy(source)
    assert copy["metadata"] == {**ada.threads.get(source)["metadata"], "owner": "bob"}
    assert copy["values"] == ada.threads.get(source)["values"]
    assert TOKEN not in str(copy["metadata"])
    bob.threads.update(copy["thread_id"], metadata={"mine": True})
    assert refusal(lambda: ada.threads.update(copy["thread_id"], metadata={}))[0] == 404
    assert refusal(lambda: eve.threads.copy(source))[0] == 409
    assert eve.threads.prune([source, copy["thread_id"]]) == {"pruned_count": 0}
    assert refusal(lambda: bob.threads.prune([source]))[0] == 403
    assert ada.threads.prune([source, copy["thread_id"]], strategy="keep_latest") == {"pruned_count": 1}
    assert len(bob.threads.get_history(source, limit=10)) == 1
    assert len(bob.threads.get_history(copy["thread_id"], limit=10)) > 1


def test_refusals_are_the_handlers_own(sdk: Sdk, served: Live) -> None:
    with httpx.Client(base_url=served.url) as plain:
        answer = plain.post("/threads", json={}, headers={"x-auth-scheme": "langsmith"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Bring a token"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert refusal(sdk("banned").threads.create) == (403, "You are banned")
    assert refusal(lambda: sdk("ada").threads.create(metadata={"odd": 1})) == (403, "No odd threads")
    status, told = refusal(sdk("teapot").threads.create)
    assert status == 500
    assert "teapot" not in told


def test_no_answer_shows_the_callers_token(sdk: Sdk, served: Live) -> None:
    """The graph alone may tell; not the run, its stream in any mode, the state, the history, nor the batch."""
    ada = sdk("ada")
    thread_id = ada.threads.create()["thread_id"]
    stream = list(ada.runs.stream(thread_id, "quiet", input={}, stream_mode=ALL_MODES, stream_subgraphs=True))
    assert len(stream) > 10
    told = [stream, ada.runs.list(thread_id), ada.threads.get(thread_id), ada.threads.get_history(thread_id)]
    told += [ada.threads.get_state(thread_id), ada.runs.create_batch([{"assistant_id": "quiet"}])]
    assert TOKEN not in repr(told)
    assert TOKEN not in served.log.read_text()


def test_a_lost_worker_changes_nothing_about_the_caller(sdk: Sdk, served: Live) -> None:
    """The user is kept with the run: after kill -9, and for a run that starts later."""
    ada = sdk("ada")
    thread_id = ada.threads.create()["thread_id"]
    run = ada.runs.create(thread_id, "who", input={}, after_seconds=2)
    served.kill("worker")
    ada.runs.join(thread_id, run["run_id"])
    assert ada.threads.get_state(thread_id)["values"]["seen"]["user"]["token"] == TOKEN


def test_without_a_state_worker_nobody_comes_in(sdk: Sdk, served: Live) -> None:
    eve = sdk("eve")
    stopped = [psutil.Process(pid) for pid in served.pids("state")]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    try:
        with httpx.Client(base_url=served.url, timeout=30) as plain:
            answer = plain.post("/threads", json={}, headers={"Authorization": "Bearer newcomer"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    finally:
        for process in stopped:
            process.send_signal(signal.SIGCONT)
    wait_for(eve.threads.create, what="the state worker")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("auth = 7", "it is a int, not a langgraph_sdk.Auth"),
        ("raise OSError('no such thing')", "OSError: no such thing"),
    ],
)
def test_serve_stops_when_the_handlers_cannot_be_used(tmp_path: Path, source: str, told: str) -> None:
    (tmp_path / "auth.py").write_text(source)
    (tmp_path / "who.py").write_text((PROJECT.parent / "who.py").read_text())
    (tmp_path / "langgraph.json").write_text(PROJECT.read_text())
    ended = _serve(tmp_path)
    assert ended.returncode != 0
    assert f"langgraph.json's auth (./auth.py:auth): {told}" in ended.stdout


def test_serve_stops_when_two_say_who_is_calling(tmp_path: Path) -> None:
    ended = _serve(tmp_path, DEERFLOW_AUTH="trusted-header", DEERFLOW_TRUSTED_PROXIES="10.0.0.1")
    assert ended.returncode != 0
    assert "both say who is calling" in ended.stdout


def _serve(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    config = folder / "langgraph.json" if (folder / "langgraph.json").exists() else PROJECT
    command = [
        sys.executable,
        "-m",
        "deerflow.cli",
        "serve",
        "--port",
        str(free_port()),
        "--data",
        str(folder / "data"),
    ]
    return subprocess.run(
        [*command, "--config", str(config)],
        cwd=ROOT,
        env={**os.environ, "DEERFLOW_AUTH": "none", "DATABASE_URL": "", "REDIS_URL": "", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        check=False,
    )
