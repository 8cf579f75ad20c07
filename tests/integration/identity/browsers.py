"""People at browsers: they send cookies, the token of the page that they have open, and what a browser adds."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "plum ladder quartz echo"
AUTH = "/api/v1/auth"
HOST = "deerflow.example"


class Browser:
    """One browser at one address; it keeps its cookies and the CSRF token of the page that it has open."""

    def __init__(self, app: Flask, *, address: str = "203.0.113.7", base: str = f"http://{HOST}") -> None:
        self.client: FlaskClient = app.test_client()
        self.address, self.base = address, base
        self.token = ""

    def open(self, method: str, path: str, body: Any = None, **headers: str | None) -> TestResponse:
        """A request as this page's script makes it; *headers* change it, None leaves one out."""
        usual = {"Origin": self.base, "Sec-Fetch-Site": "same-origin", "X-CSRFToken": self.token or None}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**usual, **named}.items() if value is not None}
        return self.client.open(
            path,
            method=method,
            json=body,
            headers=sent,
            base_url=self.base,
            environ_overrides={"REMOTE_ADDR": self.address},
        )

    def get(self, path: str, **headers: str | None) -> TestResponse:
        return self.open("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str | None) -> TestResponse:
        return self.open("POST", path, {} if body is None else body, **headers)

    def load(self) -> None:
        """Open a page: it has the token that belongs to the cookie."""
        self.token = self.get(f"{AUTH}/csrf").get_json()["csrf_token"]

    def login(self, email: str, password: str = PASSWORD, *, remember: bool = False) -> TestResponse:
        """Fill in the sign-in page."""
        self.load()
        return self.send(f"{AUTH}/login", {"email": email, "password": password, "remember": remember})

    def send(self, path: str, body: Any) -> TestResponse:
        """Post what begins a session, and go on with its token."""
        answer = self.post(path, body)
        self.token = (answer.get_json() or {}).get("csrf_token", self.token)
        return answer

    def is_signed_in(self) -> bool:
        """Whether the server knows whose browser this is."""
        return self.get(f"{AUTH}/me").status_code == 200

    @property
    def cookie(self) -> str:
        """What the cookie says."""
        found = self.client.get_cookie("deerflow_session", domain=HOST)
        return "" if found is None else found.value

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.set_cookie("deerflow_session", value, domain=HOST)
