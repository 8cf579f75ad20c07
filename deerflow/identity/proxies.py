"""Whom to believe about where a request comes from: decided by the address of the socket, before anything else looks.

A proxy says in ``X-Forwarded-For``, ``-Proto``, ``-Host``, ``-Port`` and ``-Prefix`` what it knows of its client.
Anybody can write such headers, so those of the setting ``trusted_proxies`` count, and nobody else's reach the app.
What the app finds in the environ afterwards:

- ``REMOTE_ADDR``, ``wsgi.url_scheme``, ``HTTP_HOST``, ``SCRIPT_NAME``: the client's own, as far as who is believed says
- ``deerflow.peer``       the address of the socket's other end; empty for a Unix socket
- ``deerflow.proxied``    whether that is a trusted proxy
- ``deerflow.forwarded``  whether the request carried a forwarded header, of whomever
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from deerflow.settings import ANY_PROXY, UNIX_PROXY, proxies_in

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PEER, PROXIED, FORWARDED = "deerflow.peer", "deerflow.proxied", "deerflow.forwarded"

_PREFIX = "HTTP_X_FORWARDED_"
_OTHERS = {"HTTP_FORWARDED", "HTTP_X_REAL_IP"}
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_PORT = re.compile(r"[0-9]{1,5}")
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True)
class Trust:
    """Who is believed. *anybody* means whoever is at the socket, not the addresses that they name in their turn."""

    networks: tuple[IPv4Network | IPv6Network, ...]
    unix: bool = False
    anybody: bool = False

    @classmethod
    def of(cls, setting: str) -> "Trust":
        """The setting ``trusted_proxies``, which has been found to be well-formed."""
        words = set(proxies_in(setting))
        networks = tuple(ip_network(word) for word in words - {ANY_PROXY, UNIX_PROXY})
        return cls(networks, unix=UNIX_PROXY in words, anybody=ANY_PROXY in words)

    def in_peer(self, address: str) -> bool:
        """Whether the other end of the socket is believed."""
        return self.anybody or (self.in_address(address) if address else self.unix)

    def in_address(self, address: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        found = _address(address)
        return found is not None and any(found in network for network in self.networks)


class Believing:
    """The WSGI app behind this sees the client, and headers of nobody who is not believed."""

    def __init__(self, app: "WSGIApplication", setting: str) -> None:
        self._app, self._trust = app, Trust.of(setting)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Settle whom to believe, then go on."""
        settle(environ, self._trust)
        return self._app(environ, start_response)


def settle(environ: dict[str, Any], trust: Trust) -> None:
    """Put into the environ of a request what the app may believe, and take out what it may not."""
    peer = _canonical(environ.get("REMOTE_ADDR") or "")
    told = [name for name in environ if name.startswith(_PREFIX) or name in _OTHERS]
    environ |= {PEER: peer, PROXIED: trust.in_peer(peer), FORWARDED: bool(told)}
    environ |= {"REMOTE_ADDR": peer, "wsgi.url_scheme": _scheme_of_socket(environ)}
    if environ[PROXIED]:
        _believe(environ, trust)
    else:
        for name in told:
            del environ[name]


def _believe(environ: dict[str, Any], trust: Trust) -> None:
    client, hops = _walk(environ, trust)
    environ["REMOTE_ADDR"] = client
    if (scheme := _said(environ, "PROTO", hops).lower()) in _DEFAULT_PORTS:
        environ["wsgi.url_scheme"] = scheme
    if host := _host(environ, hops):
        environ["HTTP_HOST"] = host
    prefix = _said(environ, "PREFIX", hops).rstrip("/")
    if _PATH.fullmatch(prefix):
        environ["SCRIPT_NAME"] = prefix


def _walk(environ: dict[str, Any], trust: Trust) -> tuple[str, int]:
    """From the socket towards the client, as long as who names the next address is trusted: where that ends, and after
    how many steps. What is no address ends it too: then the last proxy stands for its client.
    """
    client, hops = environ[PEER], 0
    for text in reversed(_values(environ, "FOR")):
        found = _address(_without_port(text).partition("%")[0])  # a zone is another machine's word, and any text
        if found is None or (hops and not trust.in_address(client)):
            break
        client, hops = str(found), hops + 1
    return client, hops


def _said(environ: dict[str, Any], what: str, hops: int) -> str:
    """What the proxy next to the client says. Proxies that append say it at their place; of a list that is shorter
    than the way, whose proxies pass on or write over what there is, the oldest counts.
    """
    values = _values(environ, what)
    return values[-max(1, min(hops, len(values)))]


def _values(environ: dict[str, Any], what: str) -> list[str]:
    return [value.strip() for value in environ.get(_PREFIX + what, "").split(",")]


def _host(environ: dict[str, Any], hops: int) -> str:
    """Host and port that the client has asked for; empty when nobody says more than the Host header."""
    said = _said(environ, "HOST", hops)
    host = said if _HOST.fullmatch(said) else environ.get("HTTP_HOST", "")
    port = _said(environ, "PORT", hops)
    matched = _HOST.fullmatch(host)
    is_complete = matched is None or matched[1] is not None
    is_said = _PORT.fullmatch(port) is not None and 0 < int(port) < 1 << 16
    if is_complete or not is_said or port == _DEFAULT_PORTS[environ["wsgi.url_scheme"]]:
        return host
    return f"{host}:{port}"


def _scheme_of_socket(environ: dict[str, Any]) -> str:
    """Whether the socket itself speaks TLS. gunicorn believes X-Forwarded-Proto of everybody on this machine."""
    sock = environ.get("gunicorn.socket")
    if sock is None:
        return str(environ["wsgi.url_scheme"])
    return "https" if hasattr(sock, "getpeercert") else "http"


def _without_port(text: str) -> str:
    """The address of ``192.0.2.1:4711`` and ``[2001:db8::1]:4711``, as some proxies write them."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 in the clothes of IPv6 is what it is."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _canonical(text: str) -> str:
    found = _address(text)
    return text if found is None else str(found)
