"""Where webhooks may go."""

from ipaddress import ip_address

import pytest

from deerflow.errors import Invalid
from deerflow.hooks.policy import Policy, kind_of, receiver_of

OPEN = Policy(allow_http=True, allow_loopback=True, allow_private=True)
"""Allows all that can be allowed."""


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook",
        "https://example.org",
        "https://EXAMPLE.org:8443/a?b=c#d",
        "https://user:password@example.org/hook",
        "https://8.8.8.8/hook",
        "https://[2606:4700::1111]/hook",
        "https://localhost.example.org/",
    ],
)
def test_public_https_is_allowed(url: str) -> None:
    Policy().check_url(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://example.org/", "Webhook host blocked: scheme 'ftp' not allowed"),
        ("file:///etc/passwd", "scheme 'file' not allowed"),
        ("gopher://127.0.0.1:6379/_x", "scheme 'gopher' not allowed"),
        ("http://example.org/", "scheme 'http' not allowed; use https"),
        ("/hook", "Loopback webhooks .* disabled by default"),
        ("hook", "Loopback webhooks .* disabled by default"),
        ("//example.org/hook", "scheme '' not allowed"),
        ("https:///hook", "names no host"),
        ("https://", "names no host"),
        ("https://example.org:99999/", "not a valid URL"),
        ("https://example.org:x/", "not a valid URL"),
        ("https://[::1/", "not a valid URL"),
        ("", "printable ASCII"),
        ("https://exa mple.org/", "printable ASCII"),
        ("https://example.org/\r\nx", "printable ASCII"),
        ("https://example.org\\@127.0.0.1/", "printable ASCII"),
        ("https://１２７.0.0.1/", "printable ASCII"),  # noqa: RUF001 - digits that some parsers take for ours
        ("https://example.org/" + "x" * 4_100, "longer than 4096"),
    ],
)
def test_what_is_no_url_for_us(url: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        Policy().check_url(url)


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.1", "127.0.0.1.", "2130706433",
        "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
    ],
)  # fmt: skip
def test_loopback_in_every_spelling(host: str) -> None:
    """scenario 53"""
    with pytest.raises(Invalid, match="Loopback webhooks"):
        Policy(allow_private=True).check_url(f"https://x:y@{host}/hook")
    Policy(allow_loopback=True).check_url(f"https://x:y@{host}/hook")


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "0xa.0.0.1", "167772161", "[fd00::1]",
        "[::ffff:10.0.0.1]", "[2002:a00:1::]", "[64:ff9b::a00:1]",
    ],
)  # fmt: skip
def test_private_in_every_spelling(host: str) -> None:
    """scenario 53"""
    with pytest.raises(Invalid, match="private address"):
        Policy(allow_loopback=True).check_url(f"https://{host}/hook")
    Policy(allow_private=True).check_url(f"https://{host}/hook")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("169.254.169.254", "link-local"), ("fe80::1", "link-local"), ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"), ("2002:a9fe:a9fe::", "link-local"), ("fe80::1%eth0", "link-local"),
        ("224.0.0.1", "multicast"), ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("::ffff:0.0.0.0", "unspecified"),
        ("240.0.0.1", "reserved"), ("255.255.255.255", "reserved"), ("192.0.2.1", "reserved"),
        ("198.18.0.1", "reserved"), ("0.1.2.3", "reserved"), ("2001:db8::1", "reserved"), ("2001::1", "reserved"),
        ("fec0::1", "reserved"), ("64:ff9b:1::1", "reserved"), ("4000::1", "reserved"),
    ],
)  # fmt: skip
def test_addresses_that_nothing_allows(address: str, kind: str) -> None:
    """scenario 53: a cloud's metadata above all"""
    assert kind_of(ip_address(address)) == kind
    with pytest.raises(Invalid, match=f"'name' is at a {kind} address"):
        OPEN.check_address("name", ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2002:808:808::", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet(address: str) -> None:
    assert kind_of(ip_address(address)) is None
    Policy().check_address("name", ip_address(address))


def test_domains_of_the_list() -> None:
    policy = Policy(allowed_domains=("hooks.example.org", "*.example.com"))
    for allowed in ("hooks.example.org", "HOOKS.example.org.", "a.example.com", "a.b.example.com"):
        policy.check_url(f"https://{allowed}/")
    for other in ("example.org", "example.com", "badexample.com", "hooks.example.org.evil.net", "8.8.8.8"):
        with pytest.raises(Invalid, match="not among the allowed domains"):
            policy.check_url(f"https://{other}/")


def test_a_domain_of_the_list_may_still_not_lead_inside() -> None:
    with pytest.raises(Invalid, match="private"):
        Policy(allowed_domains=("10.0.0.1",)).check_url("https://10.0.0.1/")


def test_ports_of_the_list() -> None:
    """The scheme's own port counts when the URL names none."""
    policy = Policy(allow_http=True, allowed_ports=(443, 8443))
    for allowed in ("https://a.org/", "https://a.org:443/", "https://a.org:8443/", "http://a.org:443/"):
        policy.check_url(allowed)
    for other, port in (("http://a.org/", 80), ("https://a.org:22/", 22), ("https://a.org:0/", 0)):
        with pytest.raises(Invalid, match=f"port {port} not allowed"):
            policy.check_url(other)


def test_length_of_the_list() -> None:
    with pytest.raises(Invalid, match="longer than 20 characters"):
        Policy(max_url_length=20).check_url("https://example.org/a")


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://user:secret@Example.org/hook?token=secret#x", "https://example.org:443"),
        ("http://example.org", "http://example.org:80"),
        ("https://[2606:4700::1]:8443/", "https://[2606:4700::1]:8443"),
    ],
)
def test_receiver_shows_no_credentials(url: str, receiver: str) -> None:
    assert receiver_of(url) == receiver
