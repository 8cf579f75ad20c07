"""Sends one webhook: signed, to a checked address, within its time, and nowhere else.

The name is resolved here; every address that it leads to is checked, and the connection goes to one of those, so that
no second look at the name service can lead elsewhere. For TLS and ``Host`` the receiver keeps its name. Redirects are
not followed, proxies of the environment not used, and the answer's body is not read.
"""

import asyncio
import logging
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

import httpx
import orjson

from deerflow import __version__
from deerflow.domain.presented import iso
from deerflow.domain.webhooks import Receipt, Webhook
from deerflow.errors import ConfigError, Invalid
from deerflow.hooks.policy import Policy
from deerflow.hooks.signing import keys_of, secret_in_force, signature
from deerflow.project import Project
from deerflow.settings import Settings, project_variables

log = logging.getLogger(__name__)

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses behind a host and port."""

_RESOLVERS_A_SLOT = 4
"""A name service that hangs does so for longer than a delivery: the slot is free again, its thread is not."""


@dataclass(frozen=True)
class Style:
    """How webhooks of this server look. Without *keys* they are not signed; ``None`` for the fields means all."""

    keys: list[bytes] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    allowed_fields: frozenset[str] | None = None


def open_sender(settings: Settings, project: Project, policy: Policy) -> "Sender":
    """The sender of this server; ConfigError when the secret or a header of langgraph.json is wrong."""
    keys = keys_of(secret_in_force(settings))
    if not keys:
        log.warning("Webhooks are not signed: DEERFLOW_WEBHOOK_SECRET is not set, and the database is shared")
    allowed = project.webhooks.allowed_fields
    style = Style(keys, _headers(project), None if allowed is None else frozenset(allowed))
    slots, timeout_seconds = settings.webhook_slots, settings.webhook_timeout_seconds
    return Sender(policy, style, timeout_seconds=timeout_seconds, resolver_threads=_RESOLVERS_A_SLOT * slots)


_TEMPLATE = re.compile(r"\$\{\{\s*env\.(\w+)\s*\}\}", re.ASCII)


def _headers(project: Project) -> dict[str, str]:
    """The headers of langgraph.json with ``${{ env.NAME }}`` filled in, for names that begin with ``env_prefix``."""
    said = project.webhooks
    known = project_variables(project.env, project.folder, prefix=said.env_prefix)

    def filled(found: re.Match[str]) -> str:
        if found[1] not in known:
            why = "is not set" if found[1].startswith(said.env_prefix) else f"does not begin with {said.env_prefix}"
            raise ConfigError(f"A header of webhooks in langgraph.json needs {found[1]}, which {why}")
        return known[found[1]]

    headers = {name: _TEMPLATE.sub(filled, value) for name, value in said.headers.items()}
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise ConfigError(f"The header {name} of webhooks in langgraph.json must be one line of printable ASCII")
    return headers


class Sender:
    """The way out for webhooks; ``aclose`` gives its connections back."""

    def __init__(
        self,
        policy: Policy,
        style: Style,
        *,
        timeout_seconds: float,
        resolver_threads: int = 4,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._style = style
        self._timeout_seconds = timeout_seconds
        # The default executor is the users' threads; a name service that hangs must hold up nobody else.
        self._threads = ThreadPoolExecutor(resolver_threads, thread_name_prefix="resolve")
        # No connection is kept: its pool knows it by its address, and two names may share one.
        inner = httpx.AsyncHTTPTransport(verify=tls or _tls(), limits=httpx.Limits(max_keepalive_connections=0))
        checked = _Checked(inner, policy, resolve or self._resolve)
        self._client = httpx.AsyncClient(transport=checked, trust_env=False, timeout=timeout_seconds)

    async def send(self, webhook: Webhook, payload: dict[str, Any]) -> Receipt:
        """Send it once; whatever happens is told by the receipt."""
        sent_at = datetime.now(UTC)
        body = orjson.dumps(self._kept({**payload, "webhook_sent_at": iso(sent_at)}))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(webhook, body, int(sent_at.timestamp()))
        except (TimeoutError, httpx.TimeoutException):
            return Receipt(error=f"no answer within {self._timeout_seconds:g} s")
        except Invalid as refused:
            return Receipt(error=str(refused))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Receipt(error=f"{type(error).__name__}: {error}")

    async def aclose(self) -> None:
        """Close what is open; what is under way fails."""
        await self._client.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _kept(self, payload: dict[str, Any]) -> dict[str, Any]:
        allowed = self._style.allowed_fields
        return payload if allowed is None else {name: value for name, value in payload.items() if name in allowed}

    async def _post(self, webhook: Webhook, body: bytes, timestamp: int) -> Receipt:
        headers = {"content-type": "application/json", "user-agent": f"deerflow/{__version__}", **self._style.headers}
        headers |= {"webhook-id": str(webhook.webhook_id), "webhook-timestamp": str(timestamp)}
        if self._style.keys:
            headers["webhook-signature"] = signature(self._style.keys, str(webhook.webhook_id), timestamp, body)
        self._policy.check_url(webhook.url)
        async with self._client.stream("POST", webhook.url, content=body, headers=headers) as answer:
            return _receipt(answer)

    async def _resolve(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _addresses, host, port)
        return list(dict.fromkeys(found))


class _Checked(httpx.AsyncBaseTransport):
    """Connects to checked addresses only."""

    def __init__(self, inner: httpx.AsyncBaseTransport, policy: Policy, resolve: Resolve) -> None:
        self._inner = inner
        self._policy = policy
        self._resolve = resolve

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the first address of its host that takes the connection."""
        url = request.url
        name = url.raw_host.decode("ascii")  # ``url.host`` would be the Unicode of a punycode name
        self._policy.check_place(url.scheme, name, url.port)
        addresses = await self._resolve(name, url.port or (443 if url.scheme == "https" else 80))
        for address in addresses:  # all before the first is used: one that leads inside makes the name suspect
            self._policy.check_address(name, ip_address(address))
        failure: httpx.TransportError = httpx.ConnectError(f"'{name}' has no address")
        for address in addresses:
            request.url = url.copy_with(host=address)
            request.extensions = {**request.extensions, "sni_hostname": name}
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise httpx.ConnectError(f"'{host}' cannot be resolved: {error}") from error
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _receipt(answer: httpx.Response) -> Receipt:
    status, told = answer.status_code, _seconds(answer.headers.get("retry-after"))
    if answer.is_success:
        return Receipt(status)
    if answer.has_redirect_location:
        return Receipt(status, f"answered {status}: redirects are not followed", told)
    return Receipt(status, f"answered {status}", told)


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` in seconds, given as such or as a date; None when it is neither."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return None


def _tls() -> ssl.SSLContext:
    """Trust what httpx brings and what the machine trusts: receivers may have an authority of their own."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
