"""What can only be this machine: host names, addresses, and the origins of pages that it serves."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_origin(origin: str) -> bool:
    """Whether an origin is one of this machine's own."""
    return is_loopback(hostname(origin))


def hostname(url: str) -> str:
    """The host that a URL names, without port and brackets; empty for what is no URL."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
