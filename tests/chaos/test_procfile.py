"""The Procfile, as a platform runs it: honcho, a Postgres, a Redis, and no supervisor of ours."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_sync_client

from tests.conftest import GRAPHS, wait_for
from tests.databases import Databases
from tests.live import ADMIN, ROOT, free_port


@pytest.fixture
def platform(databases: Databases, valkey: str, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """All processes of the Procfile; their address and their environment."""
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PORT": str(port),
        "DEERFLOW_HOST": "127.0.0.1",
        "DEERFLOW_DATA": str(tmp_path / "data"),
        "DEERFLOW_CONFIG": str(GRAPHS),
        "DATABASE_URL": databases.empty_postgres().replace("postgresql://", "postgres://"),
        "REDIS_URL": valkey,
        "DEERFLOW_SECRET": "a-secret-of-the-tests-and-of-nobody-else",
        "DEERFLOW_ADMIN_EMAIL": ADMIN[0],
        "DEERFLOW_ADMIN_PASSWORD": ADMIN[1],
    }
    release = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("release:"))
    subprocess.run(release.removeprefix("release:"), shell=True, cwd=ROOT, env=environment, check=True)
    command = [sys.executable, "-m", "honcho", "start", "web", "worker", "state", "clock"]
    with (tmp_path / "honcho.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    yield f"http://127.0.0.1:{port}", environment
    process.send_signal(signal.SIGTERM)
    process.wait(40)


def test_procfile_runs_and_the_doctor_finds_it_well(platform: tuple[str, dict[str, str]]) -> None:
    """release makes the administrator, the rest serves a run; the doctor agrees, and sees when a part is away."""
    url, environment = platform
    doctor = [sys.executable, "-m", "flask", "--app", "app", "doctor"]

    def look(**changed: str) -> subprocess.CompletedProcess[str]:
        env = {**environment, **changed}
        return subprocess.run(doctor, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    wait_for(lambda: _answers(url) and look().returncode == 0, seconds=60, what="a healthy deploy")
    create = [sys.executable, "-m", "flask", "--app", "app", "keys", "create", ADMIN[0], "--name", "first"]
    made = subprocess.run(create, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    with get_sync_client(url=url, api_key=made.stdout.strip()) as client:
        thread = client.threads.create()["thread_id"]
        parts = [part.event for part in client.runs.stream(thread, "steps", input={}, stream_mode="updates")]
        assert parts == ["metadata", *["updates"] * 4]
        assert client.threads.get_state(thread)["values"]["done"] == ["one", "two", "three", "four"]
    away = look(REDIS_URL="redis://127.0.0.1:1")
    assert away.returncode == 1
    assert "problem  redis" in away.stdout
    assert "Traceback" not in away.stdout + away.stderr
    nowhere = look(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert "problem  database" in nowhere.stdout
    unknown = look(DEERFLOW_CONFIG="/nowhere/langgraph.json")
    assert unknown.returncode == 1


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok", timeout=2).is_success
    except httpx.TransportError:
        return False
