"""Sending one webhook to a real receiver: what arrives, what an answer means, and where the connection goes."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import orjson
import pytest

from deerflow.domain.webhooks import Receipt, Webhook
from deerflow.errors import ConfigError
from deerflow.hooks.policy import Policy, receiver_of
from deerflow.hooks.send import Sender, Style, open_sender
from deerflow.hooks.signing import keys_of, new_secret, secret_in_force, signature
from deerflow.project import Project, Webhooks
from deerflow.settings import Settings
from tests.receiver import HANG, Receiver

HERE = Policy(allow_http=True, allow_loopback=True)
PLAIN = Style()
NOW = datetime.now(UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def webhook_to(url: str) -> Webhook:
    return Webhook(uuid4(), "owner", uuid4(), uuid4(), url, receiver_of(url), 1, NOW, None, None, None, None, NOW)


def send(
    url: str, payload: dict[str, Any] | None = None, *, policy: Policy = HERE, style: Style = PLAIN, **options: Any
) -> Receipt:
    """Send one webhook with a sender of its own."""

    async def go() -> Receipt:
        sender = Sender(policy, style, **{"timeout_seconds": 20.0, **options})
        try:
            return await sender.send(webhook_to(url), payload or {"status": "success"})
        finally:
            await sender.aclose()

    return asyncio.run(go())


def leading_to(*answers: list[str]) -> Callable[..., Any]:
    """A name service that gives one answer after the other."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> list[str]:
        return left.pop(0)

    return resolve


def test_what_arrives(receiver: Receiver) -> None:
    """A POST of JSON with id, time and a signature of just these bytes; the time it was sent is in the payload."""
    keys = keys_of(new_secret())
    assert send(receiver.url("/hook?a=b"), {"status": "success", "n": 1}, style=Style(keys)) == Receipt(200)
    (got,) = receiver.got
    assert got.path == "/hook?a=b"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    at = int(got.headers["webhook-timestamp"])
    assert got.headers["webhook-signature"] == signature(keys, got.id, at, got.body)
    sent_at = datetime.fromisoformat(got.json.pop("webhook_sent_at"))
    assert int(sent_at.timestamp()) == at
    assert got.json | {"webhook_sent_at": 0} == {"status": "success", "n": 1, "webhook_sent_at": 0}


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    assert send(receiver.url()).is_delivered
    assert "webhook-id" in receiver.got[0].headers
    assert "webhook-signature" not in receiver.got[0].headers


def test_credentials_of_the_url_are_sent_as_such(receiver: Receiver) -> None:
    assert send(receiver.url(host="user:pass@127.0.0.1")).is_delivered
    assert receiver.got[0].headers["authorization"] == "Basic dXNlcjpwYXNz"


def test_only_allowed_fields_are_sent(receiver: Receiver) -> None:
    style = Style(allowed_fields=frozenset({"status", "other"}))
    assert send(receiver.url(), {"status": "success", "values": {"secret": 1}}, style=style).is_delivered
    assert receiver.got[0].json == {"status": "success"}


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_a_delivery(receiver: Receiver, status: int) -> None:
    receiver.answers.append(status)
    assert send(receiver.url()) == Receipt(status)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_other_answers_are_failures(receiver: Receiver, status: int) -> None:
    receiver.answers.append(status)
    assert send(receiver.url()) == Receipt(status, f"answered {status}")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(receiver: Receiver, status: int) -> None:
    """scenario 53: it may lead inside"""
    receiver.answers.append((status, {"location": receiver.url("/inside")}))
    assert send(receiver.url()) == Receipt(status, f"answered {status}: redirects are not followed")
    assert [got.path for got in receiver.got] == ["/hook"]


@pytest.mark.parametrize(("told", "seconds"), [("120", 120.0), ("soon", None), ("-5", None), ("9" * 40, 999_999_999.0)])
def test_retry_after_in_seconds(receiver: Receiver, told: str, seconds: float | None) -> None:
    receiver.answers.append((503, {"retry-after": told}))
    assert send(receiver.url()).retry_after == seconds


def test_retry_after_as_a_date(receiver: Receiver) -> None:
    receiver.answers.append(
        (503, {"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)})
    )
    assert send(receiver.url()).retry_after == pytest.approx(300, abs=5)


def test_a_receiver_that_hangs_is_given_up_in_time(receiver: Receiver) -> None:
    receiver.answers.append(HANG)
    assert send(receiver.url(), timeout_seconds=0.3) == Receipt(error="no answer within 0.3 s")


def test_a_receiver_that_answers_by_drops_is_given_up_in_time() -> None:
    """The time counts for the whole delivery, not from one byte to the next."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_drip, args=(server,), daemon=True)
        thread.start()
        receipt = send(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_seconds=0.5)
        thread.join(10)
    assert receipt == Receipt(error="no answer within 0.5 s")


def test_a_body_without_end_is_not_read() -> None:
    """The status says it all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_pour, args=(server,), daemon=True)
        thread.start()
        assert send(f"http://127.0.0.1:{server.getsockname()[1]}/") == Receipt(200)
        thread.join(10)
        assert not thread.is_alive(), "the connection was closed"


def _pour(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"5\r\nxxxxx\r\n")


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.settimeout(0.05)
        gone = False
        while not gone:
            try:
                connection.sendall(b"H")
                gone = connection.recv(65_536) == b""
            except TimeoutError:
                continue
            except OSError:
                gone = True


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    receipt = send(f"http://127.0.0.1:{port}/")
    assert receipt.status is None
    assert str(receipt.error).startswith("ConnectError")


def test_a_name_without_address() -> None:
    receipt = send("https://nowhere.invalid/hook", policy=Policy())
    assert "'nowhere.invalid' cannot be resolved" in str(receipt.error)


def test_the_policy_counts_when_it_is_sent_too(receiver: Receiver) -> None:
    """Settings may have changed since the run was created."""
    assert send(receiver.url(), policy=Policy()).error == "Webhook host blocked: scheme 'http' not allowed; use https"
    assert "Loopback webhooks" in str(send(receiver.url(), policy=Policy(allow_http=True)).error)
    assert receiver.got == []


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
def test_a_public_name_that_leads_inside_is_not_connected_to(receiver: Receiver, inside: str) -> None:
    """scenario 53: by name; also when it is only one of several addresses"""
    policy = Policy(allow_http=True)
    for addresses in ([inside], ["192.88.0.1", inside]):
        receipt = send(receiver.url(host="example.org"), policy=policy, resolve=leading_to(addresses))
        assert "example.org" in str(receipt.error)
        assert receipt.status is None
    assert receiver.got == []


def test_the_name_is_resolved_once(receiver: Receiver) -> None:
    """scenario 53: rebinding. The second answer of the name service, which leads elsewhere, is never asked for."""
    resolve = leading_to(["127.0.0.1"], ["10.0.0.1"])
    assert send(receiver.url(host="hooks.example.org"), resolve=resolve).is_delivered
    assert receiver.got[0].headers["host"] == f"hooks.example.org:{receiver.port}"


def test_a_punycode_name_stays_one(receiver: Receiver) -> None:
    """Who resolves, checks and greets has the same spelling before them."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    policy = Policy(allow_http=True, allow_loopback=True, allowed_domains=("xn--bcher-kva.example",))
    assert send(receiver.url(host="XN--bcher-kva.example"), policy=policy, resolve=resolve).is_delivered
    assert asked == ["xn--bcher-kva.example"]
    assert receiver.got[0].headers["host"].lower() == f"xn--bcher-kva.example:{receiver.port}"


def test_the_next_address_is_tried(receiver: Receiver) -> None:
    """A host with IPv6 and IPv4 addresses is reached by whichever answers."""
    resolve = leading_to(["::1", "127.0.0.1"])
    assert send(receiver.url(host="hooks.example.org"), resolve=resolve).is_delivered


def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(receiver.url()).is_delivered


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of hooks.example.org, signed by itself, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    names = ["-subj", "/CN=hooks.example.org", "-addext", "subjectAltName=DNS:hooks.example.org"]
    files = ["-keyout", str(key), "-out", str(certificate), "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize(("host", "delivered"), [("hooks.example.org", True), ("other.example.org", False)])
def test_tls_keeps_the_name(certificate: tuple[Path, Path], host: str, delivered: bool) -> None:  # noqa: FBT001
    """The connection goes to the checked address; the certificate has to be the name's."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    receiver = Receiver(server)
    try:
        url = f"https://{host}:{receiver.port}/"
        tls = ssl.create_default_context(cafile=str(certificate[0]))
        receipt = send(url, resolve=leading_to(["127.0.0.1"]), tls=tls)
    finally:
        receiver.close()
    assert asked == [host]
    assert receipt.is_delivered is delivered
    if not delivered:
        assert "Hostname mismatch" in str(receipt.error)
        assert receiver.got == []


def test_an_unknown_authority_is_refused(certificate: tuple[Path, Path]) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    receiver = Receiver(server)
    try:
        receipt = send(f"https://hooks.example.org:{receiver.port}/", resolve=leading_to(["127.0.0.1"]))
    finally:
        receiver.close()
    assert "certificate verify failed" in str(receipt.error)


def opened(settings: Settings, said: Webhooks, env: dict[str, str] | None = None) -> Sender:
    return open_sender(settings, Project(Path("/"), {}, env=env or {}, webhooks=said), HERE)


def test_headers_of_langgraph_json(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filled in from the environment and from the file's own env, of which the environment wins; and signed."""
    monkeypatch.setenv("W_ONE", "one")
    headers = {"authorization": "Bearer ${{ env.W_ONE }}-${{env.W_TWO}}", "x-plain": "${HOME}"}
    settings = Settings(data=tmp_path)

    async def go() -> Receipt:
        said = Webhooks(headers=headers, env_prefix="W_")
        sender = opened(settings, said, {"W_ONE": "never", "W_TWO": "two"})
        try:
            return await sender.send(webhook_to(receiver.url()), {})
        finally:
            await sender.aclose()

    assert asyncio.run(go()).is_delivered
    (got,) = receiver.got
    assert got.headers["authorization"] == "Bearer one-two"
    assert got.headers["x-plain"] == "${HOME}"
    keys = keys_of(secret_in_force(settings))
    assert got.headers["webhook-signature"] == signature(keys, got.id, int(got.headers["webhook-timestamp"]), got.body)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("${{ env.LG_WEBHOOK_NOT_THERE }}", "needs LG_WEBHOOK_NOT_THERE, which is not set"),
        ("${{ env.HOME }}", "needs HOME, which does not begin with LG_WEBHOOK_"),
        ("${{ env.LG_WEBHOOK_LINES }}", "one line of printable ASCII"),
    ],
)
def test_headers_that_cannot_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str, told: str
) -> None:
    monkeypatch.setenv("LG_WEBHOOK_LINES", "a\r\nb: c")
    with pytest.raises(ConfigError, match=told):
        opened(Settings(data=tmp_path), Webhooks(headers={"x": template}))


@pytest.mark.parametrize("shared", [True, False])
def test_that_nothing_is_signed_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, shared: bool) -> None:
    """Several machines would each make a secret of their own, so there is none until it is set."""
    opened(Settings(data=tmp_path, database_url="postgresql://db/x" if shared else ""), Webhooks())
    assert sum("Webhooks are not signed" in record.message for record in caplog.records) == shared
    assert (tmp_path / "webhook-secret").exists() is not shared


def test_a_large_payload_arrives_whole(receiver: Receiver) -> None:
    payload = {"values": {"text": "x" * 3_000_000}}
    assert send(receiver.url(), payload).is_delivered
    assert len(orjson.dumps(receiver.got[0].json["values"])) > 3_000_000
