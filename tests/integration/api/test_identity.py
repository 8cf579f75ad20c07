"""Auth mode ``none``: only this machine's own programs and pages are served."""

import pytest
from flask.testing import FlaskClient

from deerflow.api.mounts import Mount
from tests.integration.api.conftest import by_mount, detail

LOOPBACK = {"REMOTE_ADDR": "127.0.0.1"}
FOREIGN = [
    {"Host": "example.org"},
    {"Host": "192.168.1.5:8123"},
    {"Host": "0.0.0.0"},
    {"Host": "127.0.0.1.example.org"},
    {"Host": "localhost.example.org:8123"},
    {"Host": "[2001:db8::1]:8123"},
    {"Host": "[::1"},
    {"Host": "user@localhost"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Host": "localhost"},
    {"X-Forwarded-Proto": "https"},
    {"X-Real-IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Origin": "https://example.org"},
    {"Origin": "null"},
    {"Origin": "https://localhost.example.org"},
    {"Origin": "http://[::1"},
    {"Origin": ""},
]
OWN = [
    {"Host": "localhost"},
    {"Host": "localhost:8123"},
    {"Host": "app.localhost:8123"},
    {"Host": "127.0.0.1:8123"},
    {"Host": "127.1.2.3"},
    {"Host": "[::1]"},
    {"Host": "[::1]:8123"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "http://[::1]:3000"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"x-api-key": "whatever the SDK found in its environment"},
]


def shown(headers: dict[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in headers.items())


@pytest.mark.parametrize("headers", FOREIGN, ids=shown)
def test_foreign(web: FlaskClient, headers: dict[str, str]) -> None:
    """What comes from elsewhere, or through a proxy, is refused and changes nothing."""
    refused = web.post("/threads", json={}, headers=headers, environ_base=LOOPBACK)
    assert refused.status_code == 403
    assert list(refused.get_json()) == ["detail"]


@pytest.mark.parametrize("headers", OWN, ids=shown)
def test_own(web: FlaskClient, headers: dict[str, str]) -> None:
    """This machine's own names and pages are served, on any port."""
    assert web.post("/threads", json={}, headers=headers, environ_base=LOOPBACK).status_code == 200


@pytest.mark.parametrize("address", ["192.168.1.5", "2001:db8::1", "0.0.0.0"])
def test_foreign_address(web: FlaskClient, address: str) -> None:
    """A caller on another machine is refused, whatever host it names."""
    detail(web.post("/threads", json={}, environ_base={"REMOTE_ADDR": address}), 403)


@by_mount
def test_every_method(web: FlaskClient, thread: str, mount: Mount) -> None:
    """A preflight or a HEAD of another site's page learns nothing either."""
    for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
        answer = web.open(f"{mount.prefix}/threads/{thread}", method=method, headers={"Origin": "https://example.org"})
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert web.get(f"/threads/{thread}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/ok", "/live", "/info", "/metrics"])
@by_mount
def test_public(web: FlaskClient, mount: Mount, path: str) -> None:
    """Whether the server lives, and which it is, may be asked by anybody: load balancers and monitors do."""
    answer = web.get(mount.prefix + path, headers={"Host": "example.org", "X-Forwarded-For": "192.0.2.1"})
    assert answer.status_code == 200
