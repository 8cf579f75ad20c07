"""Behind a real nginx, with the configuration of docs/security.md: https, other ports, a second proxy, streams."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_sync_client

from tests.browser import LOGIN, ME, browser, sign_in, token_of
from tests.conftest import GRAPHS, wait_for
from tests.live import ADMIN, Live
from tests.nginx import NEEDED, front, nginx
from tests.sse import read_frames
from tests.traces import hold, let_go

pytestmark = NEEDED

NEAR, FAR = "127.0.0.2", "127.0.0.3"
"""From where the proxies call; the tests' own clients call from 127.0.0.1, which nobody trusts."""
LIES = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=203.0.113.7;proto=https",
}


@dataclass(frozen=True)
class Way:
    """A way to the server."""

    name: str
    live: Live
    base: str
    certificate: Path

    @property
    def is_https(self) -> bool:
        """Whether its callers speak https."""
        return self.base.startswith("https")

    def browser(self, *, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """A browser that comes this way."""
        return browser(self.base, address=address, certificate=self.certificate, **headers)


WAYS = ["direct", "http", "https", "two, passing on", "two, appending"]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Way]]:
    """One server with accounts, and all ways to it."""
    folder = tmp_path_factory.mktemp("proxied")
    live = Live(folder, GRAPHS, auth="accounts", DEERFLOW_TRUSTED_PROXIES=f"{NEAR}, {FAR}")
    live.start()
    passing = front(live.port, NEAR, forwards="$http_x_forwarded_proto")
    adding = front(live.port, NEAR, forwards='"$http_x_forwarded_proto, $scheme"')
    http, https = front(live.port, NEAR), front(live.port, NEAR, https=True)
    outer = [front(inner.port, FAR, https=True) for inner in (passing, adding)]
    urls = [live.url, *(one.url for one in (http, https, *outer))]
    with nginx(folder, [passing, adding, http, https, *outer]) as certificate:
        yield {name: Way(name, live, url, certificate) for name, url in zip(WAYS, urls, strict=True)}
    live.stop()


@pytest.fixture(params=WAYS)
def way(ways: dict[str, Way], request: pytest.FixtureRequest) -> Way:
    """Each way to the server."""
    return ways[request.param]


@pytest.fixture(params=WAYS[1:])
def proxied(ways: dict[str, Way], request: pytest.FixtureRequest) -> Way:
    """Each way that leads through nginx."""
    return ways[request.param]


def test_the_cookie_is_secure_where_the_caller_speaks_https(way: Way) -> None:
    """scenario 45: whatever the caller itself says about it; a page on any port signs in, and goes on to post."""
    with way.browser(**LIES) as opened:
        answer = sign_in(opened, *ADMIN)
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["Set-Cookie"]
        assert ("Secure" in cookie) is way.is_https
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert opened.post("/threads", json={}, headers=token_of(opened)).status_code == 200
        assert opened.post("/threads", json={}).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "https://localhost", "https://localhost:1", "null"])
def test_a_page_of_another_origin_signs_nobody_in(way: Way, origin: str) -> None:
    """scenario 44: also one that differs in nothing but its port."""
    with way.browser() as opened:
        token = opened.get("/api/v1/auth/csrf").json()["csrf_token"]
        answer = opened.post(
            LOGIN,
            json={"email": ADMIN[0], "password": ADMIN[1]},
            headers={"X-CSRFToken": token, "Origin": origin},
        )
        assert answer.status_code == 403
        assert opened.get(ME).status_code == 401


def test_a_session_shows_its_callers_own_address(way: Way) -> None:
    """The one at the other end of the last socket that a trusted proxy or we hold."""
    with way.browser(address="127.0.0.8", **LIES) as opened:
        assert sign_in(opened, *ADMIN).status_code == 200
        (here,) = [one for one in opened.get("/api/v1/auth/sessions").json() if one["current"]]
        assert here["address"] == "127.0.0.8"


def test_no_page_leads_to_where_a_stranger_says(way: Way) -> None:
    """Addresses that the server gives out are paths of its own, whatever host the request names."""
    with way.browser(**LIES) as opened:
        for path in ("/login", "/console/"):
            answer = opened.get(path, headers={"Host": "evil.example"})
            assert answer.is_redirect
            assert answer.headers["Location"].startswith("/console/")


def test_who_guesses_is_locked_out_alone(way: Way) -> None:
    """Wherever they say that they are; another caller through the same proxy signs in all the same."""
    number = 20 + 2 * WAYS.index(way.name)
    with way.browser(address=f"127.0.0.{number}") as guesser, way.browser(address=f"127.0.0.{number + 1}") as other:
        said = (f"203.0.113.{last}, 10.0.0.{last}" for last in count(1))
        statuses = []
        for _ in range(6):
            guesser.headers["X-Forwarded-For"] = next(said)
            answer = sign_in(guesser, f"nobody{number}@example.com", "a wild guess")
            statuses.append(answer.status_code)
        assert statuses == [401] * 5 + [429]
        assert 0 < int(answer.headers["Retry-After"]) <= 300
        assert sign_in(other, *ADMIN).status_code == 200


def test_streams_come_through_as_they_are_said(proxied: Way, trace: Path) -> None:
    """A step's event arrives while the next step is held up until it has."""
    hold(trace, "two")
    with proxied.browser(**proxied.live.headers) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "steps", "input": {"trace": str(trace)}, "stream_mode": "updates"}
        with client.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
            assert answer.headers["Content-Location"].startswith(f"/threads/{thread}/runs/")
            frames = read_frames(answer)
            heard = [next(frames).event, next(frames).event]
            let_go(trace)
            heard += [frame.event for frame in frames]
        assert heard == ["metadata", *["updates"] * 4]


def test_who_hangs_up_on_the_proxy_has_gone(proxied: Way) -> None:
    """nginx closes its own connection then, and a run that shall not outlive its creator ends."""
    with proxied.browser(**proxied.live.headers) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "stubborn", "input": {"kind": "patient", "seconds": 60}, "on_disconnect": "cancel"}
        with client.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
            next(read_frames(answer))
        runs = f"/threads/{thread}/runs"
        wait_for(lambda: client.get(runs).json()[0]["status"] == "interrupted", what="the cancel")


def test_the_sdk_talks_through_it(proxied: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key, and with the certificate that its machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(proxied.certificate))
    with get_sync_client(url=proxied.base, api_key=proxied.live.api_key) as client:
        thread = client.threads.create()["thread_id"]
        assert client.runs.wait(thread, "steps", input={})["done"] == ["one", "two", "three", "four"]
        parts = [part.event for part in client.runs.stream(thread, "steps", input={}, stream_mode="updates")]
        assert parts[0] == "metadata"
