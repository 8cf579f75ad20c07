"""Two web processes on two ports, one database and one Redis: what one of them is told holds for the other."""

import time
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

import httpx
import pytest

from tests.browser import LOGIN, ME, browser, sign_in, token_of
from tests.chaos.conftest import until
from tests.conftest import SETUPS, live_on, wait_for
from tests.databases import Databases
from tests.live import ADMIN, Live

KEYS = "/api/v1/auth/keys"
SESSIONS = "/api/v1/auth/sessions"


class Webs(NamedTuple):
    """Their URLs, and the server that both are part of."""

    live: Live
    one: str
    other: str


@pytest.fixture(scope="module", params=SETUPS)
def webs(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Webs]:
    """A server with accounts and a second web process."""
    live = live_on(request.param, databases, tmp_path_factory.mktemp("webs"), auth="accounts")
    live.start()
    with live.extra_web() as other:
        yield Webs(live, live.url, other)
    live.stop()


def carried(opened: httpx.Client, to: str) -> httpx.Client:
    """The same browser at the other process, as behind a load balancer: same cookies."""
    moved = browser(to)
    moved.cookies = opened.cookies
    return moved


def test_failures_are_counted_together(webs: Webs) -> None:
    """scenario 50: five of one address, whichever process it asks; then both refuse it, and no other one."""
    with browser(webs.one, address="127.0.0.31") as one, browser(webs.other, address="127.0.0.31") as other:
        turns = cycle([one, other])
        statuses = [sign_in(next(turns), "nobody@example.com", "a wild guess").status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        for opened in (one, other):
            refused = sign_in(opened, *ADMIN)
            assert refused.status_code == 429
            assert 0 < int(refused.headers["Retry-After"]) <= 300
    with browser(webs.other, address="127.0.0.32") as elsewhere:
        assert sign_in(elsewhere, *ADMIN).status_code == 200


def test_each_takes_the_others_sessions_and_misses_them_when_they_end(webs: Webs) -> None:
    """scenarios 47 and 51: one secret; a session that was ended at one process opens nothing at the other, at once."""
    with browser(webs.one) as one:
        assert sign_in(one, *ADMIN).status_code == 200
        cookies = dict(one.cookies)
        with carried(one, webs.other) as other:
            assert other.get(ME).status_code == 200
            assert other.post("/threads", json={}, headers=token_of(other)).status_code == 200
            assert other.post("/api/v1/auth/logout", headers=token_of(other)).is_success
        for url in (webs.one, webs.other):
            assert httpx.get(url + ME, cookies=cookies).status_code == 401


def test_a_new_password_ends_the_sessions_everywhere(webs: Webs) -> None:
    """scenario 51: all but the one that changes it; at the other process too."""
    with browser(webs.one) as one, browser(webs.other) as other:
        for opened in (one, other):
            assert sign_in(opened, *ADMIN).status_code == 200
        for new, old in ((ADMIN[1] + "!", ADMIN[1]), (ADMIN[1], ADMIN[1] + "!")):
            change = {"password": old, "new_password": new}
            answer = one.post("/api/v1/auth/change-password", json=change, headers=token_of(one))
            assert answer.is_success, answer.text
            assert other.get(ME).status_code == 401
            with carried(one, webs.other) as moved:
                assert moved.get(ME).status_code == 200
            assert sign_in(other, ADMIN[0], new).status_code == 200


def test_a_key_that_is_revoked_at_one_opens_nothing_at_the_other(webs: Webs) -> None:
    """Within a second; a stream that it had opened there ends within ten, which are two heartbeats."""
    admin = webs.live.headers
    made = httpx.post(webs.one + KEYS, json={"name": "of the test"}, headers=admin).json()
    with httpx.Client(base_url=webs.other, headers={"x-api-key": made["key"]}, timeout=30) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": "stubborn", "input": {"kind": "patient", "seconds": 60}}
        run = client.post(f"/threads/{thread}/runs", json=body).json()
        until(webs.live, run, "running")
        path = f"/threads/{thread}/runs/{run['run_id']}/stream"
        with client.stream("GET", path, headers={"Last-Event-ID": "-1"}) as answer:
            said = answer.iter_raw()
            next(said)
            assert httpx.delete(f"{webs.one}{KEYS}/{made['key_id']}", headers=admin).status_code == 204
            revoked = time.monotonic()

            def refused() -> bool:
                begun = time.monotonic()
                code = client.get(f"/threads/{thread}").status_code
                assert code == 401 or begun - revoked < 1
                return code == 401

            wait_for(refused, what="the revocation")
            heard: list[bytes] = []
            with pytest.raises(httpx.RemoteProtocolError):
                heard.extend(said)
            assert b"".join(heard).count(b": heartbeat") <= 2
        webs.live.http().post(f"/threads/{thread}/runs/{run['run_id']}/cancel")


def test_a_session_that_is_ended_ends_its_streams(webs: Webs) -> None:
    """Ended at one process, the stream at the other is cut, and the run goes on."""
    with browser(webs.one) as one, browser(webs.other) as other:
        assert sign_in(one, *ADMIN).status_code == sign_in(other, *ADMIN).status_code == 200
        thread = other.post("/threads", json={}, headers=token_of(other)).json()["thread_id"]
        body = {"assistant_id": "stubborn", "input": {"kind": "patient", "seconds": 60}, "on_disconnect": "cancel"}
        path = f"/threads/{thread}/runs/stream"
        with other.stream("POST", path, json=body, headers=token_of(other)) as answer:
            said = answer.iter_raw()
            next(said)
            assert one.delete(SESSIONS, headers=token_of(one)).is_success
            with pytest.raises(httpx.RemoteProtocolError):
                for _ in said:
                    pass
        assert other.get(ME).status_code == 401
        (run,) = one.get(f"/threads/{thread}/runs").json()
        assert run["status"] == "running"
        webs.live.http().post(f"/threads/{thread}/runs/{run['run_id']}/cancel")


def test_a_login_needs_no_second_look(webs: Webs) -> None:
    """The token that one process has given is good at the other: a page and its form may meet two of them."""
    with browser(webs.one) as one:
        token = one.get("/api/v1/auth/csrf").json()["csrf_token"]
        with carried(one, webs.other) as other:
            body = {"email": ADMIN[0], "password": ADMIN[1]}
            assert other.post(LOGIN, json=body, headers={"X-CSRFToken": token}).status_code == 200
