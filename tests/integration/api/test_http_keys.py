"""langgraph.json's ``http``: what is served, and where."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import Mount
from deerflow.backend import Backend
from deerflow.errors import Invalid
from deerflow.hooks.policy import Policy
from deerflow.settings import Settings
from tests.factories import make_app
from tests.integration.api.conftest import by_mount, detail

Serve = Callable[..., FlaskClient]


@pytest.fixture
def serve(settings: Settings, backend: Backend, tmp_path: Path) -> Serve:
    """A client of an app whose langgraph.json says this of ``http``."""

    def serve(values: dict[str, str] | None = None, /, **http: Any) -> FlaskClient:
        config = tmp_path / "langgraph.json"
        config.write_text(json.dumps({"graphs": {"steps": "./a.py:graph"}, "http": http}))
        return make_app(settings.model_copy(update={"config": config, **(values or {})}), backend).test_client()

    return serve


@by_mount
def test_what_is_switched_off_is_not_there(serve: Serve, mount: Mount) -> None:
    """Nor told of; the rest is."""
    client = serve(disable_runs=True, disable_assistants=True, disable_meta=True, disable_mcp=True)
    thread = client.post(f"{mount.prefix}/threads", json={}).get_json()["thread_id"]
    for path in (f"/threads/{thread}/runs", "/info", "/metrics", "/openapi.json"):
        detail(client.get(mount.prefix + path), 404)
    for path in ("/runs", f"/threads/{thread}/runs/wait", "/assistants/search"):
        detail(client.post(mount.prefix + path, json={"assistant_id": "steps"}), 404)
    assert client.get(f"{mount.prefix}/threads/{thread}/state").status_code == 200
    assert client.get(f"{mount.prefix}/ok").status_code == 200


def test_what_is_switched_off_is_not_told(serve: Serve) -> None:
    told = serve(disable_threads=True).get("/openapi.json").get_json()["paths"]
    assert "/threads/{thread_id}/runs" in told
    assert not {"/threads", "/threads/{thread_id}", "/api/threads/{thread_id}/state"} & set(told)


@by_mount
def test_all_is_under_the_prefix(serve: Serve, mount: Mount) -> None:
    """With the prefix in what names a thing, and without in ``Location``: clients append that to their base URL."""
    client = serve(mount_prefix="/agents/")
    base = f"/agents{mount.prefix}"
    thread = client.post(f"{base}/threads", json={}).get_json()["thread_id"]
    made = client.post(f"{base}/threads/{thread}/runs", json={"assistant_id": "steps"})
    run = f"/threads/{thread}/runs/{made.get_json()['run_id']}"
    assert made.headers["Content-Location"] == base + run
    streamed = client.get(f"{base}{run}/stream", buffered=False)
    assert streamed.headers["Location"] == f"{run}/stream"
    streamed.close()
    detail(client.get(f"{mount.prefix}{run}"), 404)
    detail(client.get("/agentsx/ok"), 404)


def test_pages_and_probes_find_their_way(serve: Serve) -> None:
    """Pages lead to pages under the prefix; what a load balancer asks is at both places."""
    client = serve(mount_prefix="/agents")
    assert client.get("/agents", headers={"Accept": "text/html"}).headers["Location"] == "/agents/console/"
    assert client.get("/agents/login").headers["Location"] == "/agents/console/login"
    assert [client.get(path).status_code for path in ("/live", "/ok", "/agents/live", "/info")] == [200, 200, 200, 404]


def test_a_proxys_prefix_comes_first(serve: Serve) -> None:
    client = serve({"trusted_proxies": "127.0.0.1"}, mount_prefix="/agents")
    headers = {"Accept": "text/html", "X-Forwarded-Prefix": "/outer"}
    assert client.get("/agents/", headers=headers).headers["Location"] == "/outer/agents/console/"


def test_webhooks_can_be_switched_off() -> None:
    with pytest.raises(Invalid, match="this server sends none"):
        Policy(disabled=True).check_url("https://example.org/hook")
