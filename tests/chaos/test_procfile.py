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

from tests.browser import LOGIN
from tests.conftest import GRAPHS, wait_for
from tests.databases import Databases
from tests.live import ADMIN, ROOT, free_port


@pytest.fixture(scope="module")
def platform(
    databases: Databases, valkey: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, str]]]:
    """All processes of the Procfile; their address and their environment."""
    tmp_path = tmp_path_factory.mktemp("platform")
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
        "DEERFLOW_AUTH": "accounts",
        "DEERFLOW_SECRET": "a-secret-that-the-platform-keeps-for-us",
        "DEERFLOW_ADMIN_EMAIL": ADMIN[0],
        "DEERFLOW_ADMIN_PASSWORD": ADMIN[1],
        "DEERFLOW_TRUSTED_PROXIES": "*",
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
    """release, web, worker, state and clock together serve a run; the doctor agrees, and sees when a part is away."""
    url, environment = platform
    doctor = [sys.executable, "-m", "flask", "--app", "app", "doctor"]

    def look(**changed: str) -> subprocess.CompletedProcess[str]:
        env = {**environment, **changed}
        return subprocess.run(doctor, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    wait_for(lambda: _answers(url) and look().returncode == 0, seconds=60, what="a healthy deploy")
    make = [sys.executable, "-m", "flask", "--app", "app", "keys", "create", ADMIN[0], "--name", "laptop"]
    key = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    with get_sync_client(url=url, api_key=key) as client:
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


def test_the_platforms_router_says_where_callers_are(platform: tuple[str, dict[str, str]]) -> None:
    """The release has made the administrator, who signs in; over https, when the router in front says so."""
    url, _ = platform
    wait_for(lambda: _answers(url), seconds=60, what="an answer")
    router = {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443", "X-Forwarded-For": "198.51.100.9, 203.0.113.7"}
    body = {"email": ADMIN[0], "password": ADMIN[1]}
    answer = httpx.post(url + LOGIN, json=body, headers=router)
    assert answer.status_code == 200, answer.text
    assert "; Secure" in answer.headers["Set-Cookie"]
    cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    (here,) = httpx.get(f"{url}/api/v1/auth/sessions", headers=cookie | router).json()
    assert here["address"] == "203.0.113.7"
    assert "Secure" not in httpx.post(url + LOGIN, json=body).headers["Set-Cookie"]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok", timeout=2).is_success
    except httpx.TransportError:
        return False
