"""Network addresses, as far as they stand for somebody."""

import ipaddress

_V6_PREFIX = 64


def household(address: str | None) -> str:
    """Whom an address stands for when tries are counted: itself, or the /64 of IPv6 that one line gets as a whole."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "local"  # a Unix socket has none
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _V6_PREFIX), strict=False))
    return str(found)
