"""A browser, as far as the server can tell: it keeps cookies, says where its pages are from, and sends its token."""

import ssl
from pathlib import Path

import httpx

LOGIN = "/api/v1/auth/login"
ME = "/api/v1/auth/me"


def browser(base: str, *, address: str = "127.0.0.1", certificate: Path | None = None, **headers: str) -> httpx.Client:
    """A browser that calls from an address of this machine."""
    verify = ssl.create_default_context(cafile=str(certificate)) if certificate else True
    transport = httpx.HTTPTransport(verify=verify, local_address=address)
    return httpx.Client(base_url=base, transport=transport, headers={"Origin": base, **headers}, timeout=30)


def sign_in(opened: httpx.Client, email: str, password: str) -> httpx.Response:
    """As a page does: with the token that it has got before."""
    token = opened.get("/api/v1/auth/csrf").json()["csrf_token"]
    return opened.post(LOGIN, json={"email": email, "password": password}, headers={"X-CSRFToken": token})


def token_of(opened: httpx.Client) -> dict[str, str]:
    """The header that who is signed in sends with whatever changes something."""
    return {"X-CSRFToken": opened.get(ME).json()["csrf_token"]}
