"""Whose forwarded headers count, as a table: what came in, and what the app sees of it."""

import socket
import ssl
from typing import Any

import pytest

from deerflow.errors import ConfigError
from deerflow.identity.proxies import FORWARDED, PEER, PROXIED, Believing, Trust, settle
from deerflow.settings import Settings

PROXY, INNER, CLIENT, LIAR = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.9"
TRUSTED = "10.0.0.0/24, fd00::/8"


def seen(peer: str, setting: str = TRUSTED, *, host: str = "inside:8123", **told: str) -> dict[str, Any]:
    """The environ of a request, as the app gets it."""
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": host, "wsgi.url_scheme": "http", "SCRIPT_NAME": ""}
    environ |= {f"HTTP_X_FORWARDED_{name}": value for name, value in told.items()}
    settle(environ, Trust.of(setting))
    return environ


def shown(environ: dict[str, Any]) -> tuple[str, ...]:
    return (environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["REMOTE_ADDR"], environ["SCRIPT_NAME"])


LIES = {"FOR": LIAR, "PROTO": "https", "HOST": "evil.example", "PORT": "443", "PREFIX": "/evil", "USER": "admin@x.org"}


@pytest.mark.parametrize(
    ("peer", "setting"),
    [
        (LIAR, ""),
        (LIAR, TRUSTED),
        ("127.0.0.1", TRUSTED),
        ("::1", TRUSTED),
        ("", TRUSTED),
        ("10.0.1.1", TRUSTED),
        ("2001:db8::1", TRUSTED),
        ("no address", TRUSTED),
        ("127.0.0.1", "unix"),
    ],
)
def test_nobody_else_is_believed(peer: str, setting: str) -> None:
    """scenario 45: whatever a stranger says, the socket counts, and nothing of it reaches the app."""
    environ = seen(peer, setting, **LIES)
    assert shown(environ) == ("http", "inside:8123", peer, "")
    assert (environ[PEER], environ[PROXIED], environ[FORWARDED]) == (peer, False, True)
    assert [name for name in environ if "FORWARDED_" in name] == []


@pytest.mark.parametrize("name", ["HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_SERVER"])
def test_other_names_are_noticed_and_taken_out(name: str) -> None:
    environ = {"REMOTE_ADDR": LIAR, "wsgi.url_scheme": "http", name: "for=127.0.0.1"}
    settle(environ, Trust.of(TRUSTED))
    assert environ[FORWARDED]
    assert name not in environ


def test_a_request_without_them_is_as_it_was() -> None:
    for peer in (LIAR, PROXY):
        environ = seen(peer)
        assert shown(environ) == ("http", "inside:8123", peer, "")
        assert environ[FORWARDED] is False


@pytest.mark.parametrize(
    ("peer", "setting", "trusted"),
    [
        (PROXY, PROXY, True),
        (PROXY, f"192.0.2.1 {PROXY}", True),
        (INNER, PROXY, False),
        (PROXY, "10.0.0.0/8,192.168.0.0/16", True),
        ("::ffff:10.0.0.1", PROXY, True),
        ("fd12::1", "fd00::/8", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("fd12::1", "10.0.0.0/8", False),
        ("", "unix", True),
        ("", "*", True),
        ("", PROXY, False),
        (LIAR, "*", True),
        (LIAR, "", False),
    ],
)
def test_only_who_is_named_is_trusted(peer: str, setting: str, trusted: bool) -> None:  # noqa: FBT001
    """By address or network; a Unix socket by its own word; ``*`` is everybody."""
    assert seen(peer, setting, FOR=CLIENT)[PROXIED] is trusted
    assert (seen(peer, setting, FOR=CLIENT)["REMOTE_ADDR"] == CLIENT) is trusted


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (CLIENT, CLIENT),
        (f"{LIAR}, {CLIENT}", CLIENT),
        (f"{LIAR}, {CLIENT}, {INNER}", CLIENT),
        (f"{LIAR},{CLIENT} ,{INNER},  10.0.0.3", CLIENT),
        (f"{INNER}, {CLIENT}", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("fe80::1%\x1b[2J a zone", "fe80::1"),
        (INNER, INNER),
        ("", PROXY),
        ("unknown", PROXY),
        ("_hidden", PROXY),
        ("127.0.0.1'; DROP", PROXY),
        (f"{CLIENT}, ", PROXY),
        (f"{CLIENT}, unknown, {INNER}", INNER),
        ("[", PROXY),
        (":", PROXY),
        ("1.2.3", PROXY),
        ("1.2.3.4.5", PROXY),
        ("999.1.1.1", PROXY),
    ],
)
def test_the_client_is_found_from_the_right(chain: str, client: str) -> None:
    """The last address that no trusted proxy owns; garbage ends the way, and the proxy before it stands for it."""
    assert seen(PROXY, FOR=chain)["REMOTE_ADDR"] == client


def test_everybody_trusted_is_one_step_only() -> None:
    """On a platform the router appends the true address; what its client has written before that stays a claim."""
    assert seen("10.1.2.3", "*", FOR=f"{LIAR}, {CLIENT}")["REMOTE_ADDR"] == CLIENT
    behind_a_cdn = seen("10.1.2.3", "*, 192.0.2.0/24", FOR=f"{LIAR}, {CLIENT}, 192.0.2.5")
    assert behind_a_cdn["REMOTE_ADDR"] == CLIENT


@pytest.mark.parametrize(
    ("told", "scheme"),
    [
        ({"PROTO": "https"}, "https"),
        ({"FOR": CLIENT, "PROTO": "https"}, "https"),
        ({"FOR": CLIENT, "PROTO": "http"}, "http"),
        ({"FOR": CLIENT, "PROTO": "HTTPS"}, "https"),
        ({"FOR": CLIENT, "PROTO": "https, http"}, "http"),
        ({"FOR": f"{CLIENT}, {INNER}", "PROTO": "https, http"}, "https"),
        ({"FOR": f"{CLIENT}, {INNER}", "PROTO": "https, http, http"}, "http"),
        ({"FOR": f"{CLIENT}, {INNER}", "PROTO": "https"}, "https"),
        ({"FOR": f"{CLIENT}, {INNER}, 10.0.0.3", "PROTO": "https, http"}, "https"),
        ({"FOR": f"{CLIENT}, {LIAR}", "PROTO": "https, http"}, "http"),
        ({"FOR": CLIENT, "PROTO": ""}, "http"),
        ({"FOR": CLIENT, "PROTO": "gopher"}, "http"),
        ({"FOR": CLIENT, "PROTO": "https\x00"}, "http"),
    ],
)
def test_the_scheme_is_the_clients(told: dict[str, str], scheme: str) -> None:
    """Two proxies: the inner one appends what it saw, or passes on what the outer one said; the client's hop counts."""
    assert seen(PROXY, **told)["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("host", "told", "expected"),
    [
        ("inside:8123", {"HOST": "run.example.org"}, "run.example.org"),
        ("inside:8123", {"HOST": "run.example.org:8443"}, "run.example.org:8443"),
        ("inside:8123", {"HOST": "run.example.org:8443", "PORT": "443"}, "run.example.org:8443"),
        ("inside:8123", {"HOST": "run.example.org", "PORT": "8443"}, "run.example.org:8443"),
        ("inside:8123", {"HOST": "run.example.org", "PORT": "443", "PROTO": "https"}, "run.example.org"),
        ("inside:8123", {"HOST": "run.example.org", "PORT": "80"}, "run.example.org"),
        ("inside:8123", {"HOST": "[2001:db8::1]", "PORT": "8443"}, "[2001:db8::1]:8443"),
        ("run.example.org", {"PORT": "8443", "PROTO": "https"}, "run.example.org:8443"),
        ("run.example.org:8443", {"PORT": "443", "PROTO": "https"}, "run.example.org:8443"),
        ("run.example.org:8443", {"PROTO": "https"}, "run.example.org:8443"),
        ("run.example.org", {"PORT": "0"}, "run.example.org"),
        ("run.example.org", {"PORT": "65536"}, "run.example.org"),
        ("run.example.org", {"PORT": "8443@evil"}, "run.example.org"),
        ("run.example.org", {"PORT": "²"}, "run.example.org"),
        ("run.example.org", {"PORT": "9" * 5000}, "run.example.org"),
        ("inside", {"HOST": "a.example, b.example", "FOR": f"{CLIENT}, {INNER}"}, "a.example"),
        ("inside", {"HOST": "a.example, b.example", "FOR": CLIENT}, "b.example"),
        ("inside", {"HOST": "evil.example/path"}, "inside"),
        ("inside", {"HOST": "user@evil.example"}, "inside"),
        ("inside", {"HOST": "evil.example\r\nSet-Cookie: a=b"}, "inside"),
        ("inside", {"HOST": "[::1"}, "inside"),
        ("[::1", {"PORT": "8443"}, "[::1"),
        ("", {"PORT": "8443"}, ""),
    ],
)
def test_the_host_is_the_one_that_the_client_asked_for(host: str, told: dict[str, str], expected: str) -> None:
    """scenario 45: with its port, where it is not the scheme's own; garbage counts for nothing."""
    assert seen(PROXY, host=host, **told)["HTTP_HOST"] == expected


@pytest.mark.parametrize(
    ("prefix", "root"),
    [
        ("/df", "/df"),
        ("/df/", "/df"),
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        ("", ""),
        ("/", ""),
        ("df", ""),
        ("//evil.example", ""),
        ("/a//b", ""),
        ("/../x", ""),
        ("/a/..", ""),
        ("/a b", ""),
        ("/a?b", ""),
        ("/a\r\nb", ""),
    ],
)
def test_the_prefix_is_a_plain_path(prefix: str, root: str) -> None:
    """One that could lead elsewhere, as ``//evil.example`` would, counts for nothing."""
    assert seen(PROXY, PREFIX=prefix)["SCRIPT_NAME"] == root


def test_a_trusted_proxys_other_headers_reach_the_app() -> None:
    environ = seen(PROXY, FOR=CLIENT, USER="owner@example.com")
    assert environ["HTTP_X_FORWARDED_USER"] == "owner@example.com"
    assert (environ[PEER], environ["REMOTE_ADDR"]) == (PROXY, CLIENT)


def test_gunicorns_own_belief_does_not_count() -> None:
    """It says https for whoever on this machine says so; the socket knows better."""
    with socket.socket() as plain:
        environ = {"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "https", "gunicorn.socket": plain}
        settle(environ, Trust.of(""))
        assert environ["wsgi.url_scheme"] == "http"
        context = ssl.create_default_context()
        with context.wrap_socket(plain, do_handshake_on_connect=False, server_hostname="localhost") as secure:
            environ |= {"wsgi.url_scheme": "http", "gunicorn.socket": secure}
            settle(environ, Trust.of(""))
            assert environ["wsgi.url_scheme"] == "https"


def test_it_stands_in_front_of_the_app() -> None:
    asked: list[dict[str, Any]] = []

    def app(environ: dict[str, Any], _start: object) -> list[bytes]:
        asked.append(environ)
        return [b"said"]

    environ = {"REMOTE_ADDR": PROXY, "wsgi.url_scheme": "http", "HTTP_X_FORWARDED_FOR": CLIENT}
    answer = Believing(app, PROXY)(environ, lambda *_args: lambda _data: None)
    assert (list(answer), asked[0]["REMOTE_ADDR"]) == ([b"said"], CLIENT)


@pytest.mark.parametrize(
    "wrong", ["proxy.example.org", "10.0.0.1/8", "10.0.0.1;10.0.0.2", "300.1.1.1", "10.0.0.0/33", "any", "**"]
)
def test_a_wrong_value_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("DEERFLOW_TRUSTED_PROXIES", f"127.0.0.1, {wrong}")
    with pytest.raises(ConfigError) as raised:
        Settings.from_env()
    assert "trusted_proxies" in str(raised.value)
    assert wrong.partition(";")[0] in str(raised.value)


@pytest.mark.parametrize("right", ["", "127.0.0.1", "127.0.0.1,::1", " 10.0.0.0/8 , fd00::/8 ", "*", "unix, 10.0.0.1"])
def test_every_spelling_of_whom_to_trust_is_taken(monkeypatch: pytest.MonkeyPatch, right: str) -> None:
    monkeypatch.setenv("DEERFLOW_TRUSTED_PROXIES", right)
    assert Settings.from_env().trusted_proxies == right
