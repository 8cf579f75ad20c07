"""A new server with accounts, as the person who starts it meets it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client

from tests.conftest import GRAPHS, SETUPS, wait_for
from tests.live import ADMIN, ROOT, Live

AUTH = "/api/v1/auth"
EMAIL, PASSWORD = "ada@example.com", "plum ladder quartz echo"
ATTENDED = {"auth": "accounts", "DEERFLOW_ADMIN_EMAIL": "", "DEERFLOW_ADMIN_PASSWORD": ""}


def log_of(live: Live) -> str:
    return live.log.read_text(errors="replace")


def stream(live: Live, key: str, **given: Any) -> list[str]:
    """What a program with a key hears of a run."""
    with get_sync_client(url=live.url, api_key=key) as client:
        thread = client.threads.create()["thread_id"]
        return [part.event for part in client.runs.stream(thread, "steps", input={}, stream_mode="updates", **given)]


@pytest.mark.parametrize("settings_of", SETUPS)
def test_from_the_first_start_to_a_streamed_run(settings_of: str, make_server: Callable[..., Live]) -> None:
    """scenarios 47 and 50: link, key, SDK; sessions outlive a restart, and no log tells a password."""
    live = make_server(settings_of, **ATTENDED)
    live.start()
    (link,) = set(re.findall(r"http://\S+/console/setup\?token=\S+", log_of(live)))
    other = _setup_link(live)
    with httpx.Client(base_url=live.url) as browser:
        assert browser.get("/threads/search").status_code in {401, 422}
        assert browser.post("/threads", json={}).status_code == 401
        assert browser.get(f"{AUTH}/setup-status").json() == {"status": "needed"}
        assert "Set up this server" in browser.get(link).text
        body = {"token": other.partition("token=")[2], "email": EMAIL, "password": PASSWORD}
        told = httpx.post(f"{live.url}{AUTH}/initialize", json=body)
        assert told.status_code == 201, told.text
        session = {"Cookie": f"deerflow_session={told.cookies['deerflow_session']}"}
        asked = {**session, "X-CSRFToken": told.json()["csrf_token"]}
        key = httpx.post(f"{live.url}{AUTH}/keys", json={"name": "first"}, headers=asked).json()["key"]
        assert stream(live, key) == ["metadata", *["updates"] * 4]
        live.stop()
        before = len(log_of(live))
        live.start()
        assert "console/setup?token" not in log_of(live)[before:]
        me = httpx.get(f"{live.url}{AUTH}/me", headers=session).json()
        assert me["user"]["email"] == EMAIL
    assert PASSWORD not in log_of(live)
    assert key not in log_of(live)


def _setup_link(live: Live) -> str:
    """What the command prints beside the running server."""
    command = [sys.executable, "-m", "flask", "--app", "app", "users", "setup-link"]
    environment = {
        **os.environ,
        **live._environment,
        "DEERFLOW_DATA": str(live.folder / "data"),
        "PORT": str(live.port),
    }
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize("settings_of", SETUPS)
def test_unattended_the_key_is_in_the_data_folder(settings_of: str, make_server: Callable[..., Live]) -> None:
    """Told once, kept for its owner alone, the same after a restart; the password is told never."""
    live = make_server(settings_of, auth="accounts")
    live.start()
    file = live.folder / "data" / "api-key"
    key = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert stream(live, key) == ["metadata", *["updates"] * 4]
    live.stop()
    live.start()
    assert file.read_text().strip() == key
    assert log_of(live).count(key) == 1
    assert log_of(live).count(f"API key   {file}") == 2
    assert ADMIN[1] not in log_of(live)
    assert stream(live, key) == ["metadata", *["updates"] * 4]


@pytest.mark.parametrize("settings_of", SETUPS)
def test_what_was_there_before_is_the_administrators(settings_of: str, make_server: Callable[..., Live]) -> None:
    """A server of mode ``none`` becomes one with accounts, and its clock is killed while it hands things over."""
    live = make_server(settings_of)
    live.start()
    old = live.client().threads.create()["thread_id"]
    live.client().runs.wait(old, "noting", input={"word": "before"})
    live.stop()
    later = Live(live.folder, GRAPHS, database_url=live.database_url, auth="accounts")
    later.start()
    try:
        for _ in range(3):
            later.kill("clock")
            wait_for(lambda: later.pids("clock"), what="another clock")
        client = later.client()
        assert client.threads.get_state(old)["values"]["word"] == "before"

        def noted() -> list[str]:
            thread = client.threads.create()["thread_id"]
            return list(client.runs.wait(thread, "noting", input={"word": "after"})["before"])

        wait_for(lambda: set(noted()) == {"before", "after"}, seconds=60, what="the items of before")
    finally:
        later.stop()


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"],
        [sys.executable, "-m", "gunicorn", "-k", "gevent", "--bind", "127.0.0.1:0", "wsgi:application"],
        [sys.executable, "-m", "deerflow.cli", "serve", "--port", "1"],
    ],
    ids=["flask", "gunicorn", "serve"],
)
def test_a_secret_that_is_missing_is_one_sentence(command: list[str], tmp_path: Path) -> None:
    """With a database elsewhere no process may make one of its own: none starts, and each says what to do."""
    chosen = {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1", "FLASK_APP": "app"}
    environment = {**os.environ, **chosen, "DEERFLOW_DATA": str(tmp_path), "DEERFLOW_AUTH": "accounts"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "the server needs DEERFLOW_SECRET" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
