"""Where webhooks may go: checked when a run is created, and again with the very address that is connected to.

A URL comes from a caller and the request leaves from inside our network, so without this a webhook could reach the
database's neighbour or a cloud's metadata (SSRF). The check at creation gives a quick answer; the one that protects is
the one of the address, because a name may lead elsewhere by then.
"""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from deerflow.errors import Invalid

Address = IPv4Address | IPv6Address

_PORTS = {"http": 80, "https": 443}
_READABLE = re.compile(r"[!-\[\]-~]+", re.ASCII)
"""Printable ASCII without space and backslash: what else a URL may hold, parsers read differently."""

_LOCAL_NETWORKS = [
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
_GLOBAL_UNICAST = ip_network("2000::/3")
_EMBEDDING = [
    # IPv6 networks that hold an IPv4 address in their last 32 bits: mapped, translated, compatible, NAT64.
    ip_network(text) for text in ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96")
]  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """What webhooks may be sent to. ``None`` for a list means any."""

    disabled: bool = False
    """Whether there are none at all."""
    allow_http: bool = False
    allow_loopback: bool = False
    allow_private: bool = False
    allowed_domains: tuple[str, ...] | None = None
    allowed_ports: tuple[int, ...] | None = None
    max_url_length: int = 4_096

    def check_url(self, url: str) -> None:
        """Raise Invalid with one sentence when a webhook may not go there, as far as the URL alone tells."""
        if self.disabled:
            raise Invalid("webhook: this server sends none (http.disable_webhooks); leave the field out")
        if len(url) > self.max_url_length:
            raise Invalid(f"webhook: the URL is longer than {self.max_url_length} characters")
        if not _READABLE.fullmatch(url):
            raise Invalid("webhook: must be a URL of printable ASCII characters; write others as punycode or %XX")
        parts = _split(url)
        if not parts.scheme and not parts.netloc:
            raise Invalid(
                "Loopback webhooks (URLs without a host) are disabled by default; give the whole URL, "
                "such as https://example.org/hook"
            )
        self.check_place(parts.scheme, parts.hostname or "", parts.port)

    def check_place(self, scheme: str, host: str, port: int | None) -> None:
        """The same for the parts of a URL, as whoever connects has read them."""
        scheme, name = scheme.lower(), host.lower().rstrip(".")
        if scheme not in _PORTS:
            raise Invalid(f"Webhook host blocked: scheme '{scheme}' not allowed")
        if scheme == "http" and not self.allow_http:
            raise Invalid("Webhook host blocked: scheme 'http' not allowed; use https")
        if not name:
            raise Invalid("webhook: the URL names no host")
        if self.allowed_domains is not None and not any(_is_of(name, domain) for domain in self.allowed_domains):
            raise Invalid(f"Webhook host blocked: '{name}' is not among the allowed domains")
        port = _PORTS[scheme] if port is None else port
        if self.allowed_ports is not None and port not in self.allowed_ports:
            raise Invalid(f"Webhook host blocked: port {port} not allowed")
        if (address := _literal(name)) is not None:
            self.check_address(name, address)
        elif (name == "localhost" or name.endswith(".localhost")) and not self.allow_loopback:
            raise Invalid(f"Loopback webhooks, such as to '{name}', are disabled by default")

    def check_address(self, name: str, address: Address) -> None:
        """Raise Invalid when *address*, which *name* led to, is none of those that may be connected to."""
        kind = kind_of(address)
        if kind == "loopback" and not self.allow_loopback:
            raise Invalid(f"Loopback webhooks, such as to '{name}', are disabled by default")
        if kind == "private" and not self.allow_private:
            raise Invalid(f"Webhook host blocked: '{name}' is at a private address")
        if kind not in {None, "loopback", "private"}:
            raise Invalid(f"Webhook host blocked: '{name}' is at a {kind} address")


def receiver_of(url: str) -> str:
    """Scheme, host and port of a URL, without the credentials and the query that must not be shown."""
    parts = _split(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def kind_of(address: Address) -> str | None:
    """What kind of special address this is; None for one of the public internet.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is of the kind of that.
    """
    if isinstance(address, IPv6Address):
        if address.is_unspecified or address.is_loopback:
            return "loopback" if address.is_loopback else "unspecified"
        if (inner := _embedded(address)) is not None:
            return kind_of(inner)
    found = (
        (address.is_unspecified, "unspecified"),
        (address.is_loopback, "loopback"),
        (address.is_link_local, "link-local"),
        (address.is_multicast, "multicast"),
        (any(address in network for network in _LOCAL_NETWORKS), "private"),
        (not address.is_global or (address.version == 6 and address not in _GLOBAL_UNICAST), "reserved"),  # noqa: PLR2004
    )
    return next((kind for holds, kind in found if holds), None)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _literal(host: str) -> Address | None:
    """The address that a host spells; also the old spellings (``2130706433``, ``0x7f.1``) that resolvers take."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _is_of(name: str, domain: str) -> bool:
    """Whether a host is a domain of the list; ``*.example.org`` means every host below it."""
    domain = domain.lower().rstrip(".")
    return name.endswith(domain[1:]) and name != domain[2:] if domain.startswith("*.") else name == domain


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise Invalid("webhook: is not a valid URL") from error
    return parts
