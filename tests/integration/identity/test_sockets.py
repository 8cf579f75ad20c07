"""The v2 protocol over a WebSocket, with every kind of caller; served by a real server in the test's process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from deerflow.api.mounts import MOUNTS, Mount
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.domain.ids import new_id
from deerflow.domain.principal import Scope
from deerflow.domain.runs import Run
from deerflow.identity.sessions import COOKIE
from deerflow.storage import models, runs
from tests.conftest import wait_for
from tests.factories import claim_run, make_key, make_running
from tests.integration.api.conftest import by_mount
from tests.integration.events.telling import begin, end, say_v2
from tests.integration.identity.conftest import SignIn
from tests.integration.identity.stranger import principal_for
from tests.listening import listening


class Talk:
    """One client's side of a socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._id = 0

    def read(self) -> dict[str, Any]:
        told: dict[str, Any] = orjson.loads(self.socket.recv(timeout=20))
        return told

    def say(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and read its answer; events that come before are dropped."""
        self._id += 1
        self.socket.send(orjson.dumps({"id": self._id, "method": method, "params": params}).decode())
        while (told := self.read())["type"] == "event":
            continue
        assert told["id"] == self._id
        return told

    def closed_with(self) -> int:
        """The code with which the server closes, whatever it says before."""
        try:
            while True:
                self.socket.recv(timeout=20)
        except ConnectionClosed as closing:
            return int(closing.rcvd.code) if closing.rcvd is not None else 0


Open = Callable[..., Any]


@pytest.fixture
def quick(accounts_app: Flask, backend: Backend) -> Backend:
    """The app's backend, with heartbeats that a test can wait for."""
    made = replace(backend, rules=replace(backend.rules, heartbeat_seconds=0.1))
    accounts_app.extensions["deerflow"] = made
    accounts_app.extensions["deerflow.standing"]._look_seconds = 0.1
    return made


@pytest.fixture
def place(accounts_app: Flask, quick: Backend) -> Iterator[str]:
    """The host and port of the app."""
    assert accounts_app.extensions["deerflow"] is quick
    with listening(accounts_app) as place:
        yield place


@pytest.fixture
def open_socket(place: str) -> Open:
    """Opens sockets."""

    @contextmanager
    def open_socket(thread_id: Any, mount: Mount = MOUNTS[0], **headers: str) -> Iterator[Talk]:
        url = f"ws://{place}{mount.prefix}/threads/{thread_id}/stream/events"
        with connect(url, additional_headers=headers) as socket:
            yield Talk(socket)

    return open_socket


def refused(act: Any) -> int:
    """The status with which a handshake is refused."""
    with pytest.raises(InvalidStatus) as refusal, act:
        pass
    return int(refusal.value.response.status_code)


@by_mount
def test_a_thread_is_talked_about_over_one_socket(quick: Backend, owner: User, open_socket: Open, mount: Mount) -> None:
    """Subscribe, start a run, hear it; the answers and the events are those of HTTP."""
    thread_id = new_id()
    with open_socket(thread_id, mount, **{"x-api-key": make_key(quick, owner)}) as talk:
        subscribed = talk.say("subscription.subscribe", channels=["lifecycle", "values"])
        assert (subscribed["type"], subscribed["result"]["replayed_events"]) == ("success", 0)
        started = talk.say("run.start", assistant_id="steps", input={})
        run_id = started["result"]["run_id"]
        run = make_running_again(quick, owner, run_id)
        say_v2(quick, run, "values", {"a": 1})
        assert [talk.read()["params"]["data"] for _ in range(2)] == [
            {"event": "running", "graph_name": "steps"}, {"a": 1},
        ]  # fmt: skip
        end(quick, run)
        over = talk.read()
        assert over["event_id"] == f"synth:{run_id}:lc||completed"
        assert talk.say("subscription.unsubscribe", **subscribed["result"])["result"] == {}
        again = talk.say("subscription.reconnect", channels=["lifecycle"], since=over["seq"] - 1)
        assert again["type"] == "success"
        assert talk.read() == over


def make_running_again(backend: Backend, owner: User, run_id: str) -> Run:
    """Claim the run that was started."""
    with backend.db.read() as tx:
        claimed = claim_run(backend, runs.get_alone(tx, principal_for(owner), UUID(run_id)))
    assert claimed is not None
    begin(backend, claimed)
    return claimed


def test_what_is_no_command_is_answered_and_the_socket_stays(quick: Backend, owner: User, open_socket: Open) -> None:
    with open_socket(new_id(), **{"x-api-key": make_key(quick, owner)}) as talk:
        talk.socket.send("{")
        assert talk.read() == {
            "type": "error", "id": None, "error": "invalid_argument",
            "message": "Protocol commands must be valid JSON.",
        }  # fmt: skip
        talk.socket.send(b'{"id": 7}')
        assert talk.read()["id"] == 7
        for method, params, error in (
            ("subscription.subscribe", {}, "invalid_argument"),
            ("subscription.subscribe", {"channels": ["zz"]}, "invalid_argument"),
            ("subscription.unsubscribe", {"subscription_id": "sub-9"}, "invalid_argument"),
            ("run.start", {}, "invalid_argument"),
            ("input.respond", {"interrupt_id": "i", "response": 1}, "no_such_run"),
            ("agent.getTree", {}, "no_such_run"),
            ("zz", {}, "unknown_command"),
        ):
            assert talk.say(method, **params)["error"] == error


def test_a_key_that_may_only_read_starts_nothing(quick: Backend, owner: User, open_socket: Open) -> None:
    key = make_key(quick, owner, scope=Scope.READ)
    with open_socket(new_id(), **{"x-api-key": key}) as talk:
        assert talk.say("subscription.subscribe", channels=["values"])["type"] == "success"
        answer = talk.say("run.start", assistant_id="steps", input={})
        assert answer["message"] == "403: This needs the permission runs:create"


def test_a_strangers_thread_is_silent_and_taken(quick: Backend, owner: User, stranger: User, open_socket: Open) -> None:
    run = make_running(quick, principal_for(owner))
    begin(quick, run)
    with open_socket(run.thread_id, **{"x-api-key": make_key(quick, stranger)}) as talk:
        talk.say("subscription.subscribe", channels=["lifecycle", "values"])
        say_v2(quick, run, "values", {"secret": 1})
        answer = talk.say("run.start", assistant_id="steps", input={})
        assert answer["message"].startswith("409: Thread with ID")
        with pytest.raises(TimeoutError):
            talk.socket.recv(timeout=0.5)


def test_a_cookie_opens_a_socket_on_our_own_pages_only(
    quick: Backend, owner: User, place: str, open_socket: Open, as_signed_in: SignIn
) -> None:
    """Browsers send the cookie for every page, and say whose it is."""
    cookie = as_signed_in(owner).get_cookie(COOKIE)
    assert cookie is not None
    headers, thread_id = {"Cookie": f"{COOKIE}={cookie.value}"}, new_id()
    with open_socket(thread_id, **headers, Origin=f"http://{place}") as talk:
        assert talk.say("run.start", assistant_id="steps", input={})["type"] == "success"
    assert refused(open_socket(thread_id, **headers)) == 403
    for origin in ("https://evil.example", "null", f"https://{place}", "http://127.0.0.1:1"):
        assert refused(open_socket(thread_id, **headers, Origin=origin)) == 403
    assert quick


def test_who_says_nothing_of_themselves_is_not_let_in(place: str, open_socket: Open) -> None:
    assert place
    assert refused(open_socket(new_id())) == 401
    assert refused(open_socket("no-id", **{"x-api-key": "df_nonsense"})) in {401, 422}


def test_a_key_that_is_revoked_closes_its_socket(quick: Backend, owner: User, open_socket: Open) -> None:
    """4403: clients do not come back. With a subscription or without one."""
    with (
        open_socket(new_id(), **{"x-api-key": make_key(quick, owner)}) as talk,
        open_socket(new_id(), **{"x-api-key": make_key(quick, owner)}) as silent,
    ):
        talk.say("subscription.subscribe", channels=["values"])
        with quick.db.begin() as tx:
            tx.execute(sa.update(models.users).where(models.users.c.user_id == owner.user_id).values(disabled_at=NOW))
        assert talk.closed_with() == 4403
        assert silent.closed_with() == 4403


NOW = sa.func.coalesce(models.users.c.disabled_at, models.users.c.created_at)


def test_a_stopping_process_asks_to_come_back(quick: Backend, owner: User, open_socket: Open) -> None:
    with open_socket(new_id(), **{"x-api-key": make_key(quick, owner)}) as talk:
        talk.say("subscription.subscribe", channels=["values"])
        quick.wakeups.end_waits()
        assert talk.closed_with() == 1012


def test_what_is_too_large_closes_the_socket(
    accounts_app: Flask, quick: Backend, owner: User, open_socket: Open
) -> None:
    accounts_app.config["MAX_CONTENT_LENGTH"] = 2_000
    with open_socket(new_id(), **{"x-api-key": make_key(quick, owner)}) as talk:
        talk.socket.send("x" * 3_000)
        assert talk.closed_with() == 1009


def test_large_events_arrive_whole(quick: Backend, owner: User, open_socket: Open) -> None:
    """Larger than what the connection takes at once, from two subscriptions that write at the same time."""
    run = make_running(quick, principal_for(owner))
    begin(quick, run)
    for n in range(4):
        say_v2(quick, run, "values", {"n": n, "text": "x" * 900_000})
    with open_socket(run.thread_id, **{"x-api-key": make_key(quick, owner)}) as talk:
        for _ in range(2):
            talk.socket.send(
                orjson.dumps({"id": 1, "method": "subscription.subscribe", "params": {"channels": ["values"]}})
            )
        told = [talk.read() for _ in range(10)]
    numbers = [event["params"]["data"]["n"] for event in told if event["type"] == "event"]
    assert sorted(numbers) == sorted(list(range(4)) * 2)


def test_a_client_that_leaves_leaves_nothing(quick: Backend, owner: User, open_socket: Open) -> None:
    with open_socket(new_id(), **{"x-api-key": make_key(quick, owner)}) as talk:
        talk.say("subscription.subscribe", channels=["values"])
        wait_for(lambda: quick.threads._doors, what="the subscription to begin")
    wait_for(lambda: not quick.threads._doors, what="the subscription to end")


def test_plain_http_is_told_what_to_do(accounts_app: Flask, quick: Backend, owner: User) -> None:
    client = accounts_app.test_client()
    headers = {"x-api-key": make_key(quick, owner)}
    for more in ({}, {"Upgrade": "websocket"}, {"Upgrade": "h2c"}):
        answer = client.get(f"/threads/{new_id()}/stream/events", headers={**headers, **more})
        assert answer.status_code == 400


def test_who_floods_a_socket_while_nobody_looks_is_closed(
    accounts_app: Flask, quick: Backend, owner: User, open_socket: Open
) -> None:
    """An answer to a run that has not asked waits for some seconds; what comes meanwhile would lie in memory."""
    accounts_app.config["MAX_CONTENT_LENGTH"] = 1 << 20
    run = make_running(quick, principal_for(owner))
    with open_socket(run.thread_id, **{"x-api-key": make_key(quick, owner)}) as talk:
        command = {"id": 1, "method": "input.respond", "params": {"interrupt_id": "x", "response": 1}}
        talk.socket.send(orjson.dumps(command).decode())
        with pytest.raises(ConnectionClosed):
            flood(talk.socket)


def flood(socket: ClientConnection) -> None:
    """Send large messages, each as soon as the server has taken the one before."""
    for _ in range(50):
        socket.send("x" * (1 << 20))
        socket.ping().wait(0.2)
