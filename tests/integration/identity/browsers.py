"""People at browsers: they send cookies, the pre-session's token, and what their browser adds."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "plum ladder quartz echo"
AUTH = "/api/v1/auth"


class Browser:
    """One browser at one address; it keeps its cookies and the CSRF token of the page that it has open."""

    def __init__(self, app: Flask, *, address: str = "203.0.113.7", base: str = "http://deerflow.example") -> None:
        self.client: FlaskClient = app.test_client()
        self.address, self.base = address, base
        self.token = ""

    def open(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """A request as this page's script makes it; *headers* change it, an empty one is left out."""
        usual = {"Origin": self.base, "Sec-Fetch-Site": "same-origin", "X-CSRFToken": self.token}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**usual, **named}.items() if value}
        return self.client.open(
            path,
            method=method,
            json=body,
            headers=sent,
            base_url=self.base,
            environ_overrides={"REMOTE_ADDR": self.address},
        )

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.open("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> TestResponse:
        return self.open("POST", path, {} if body is None else body, **headers)

    def load(self) -> None:
        """Open a page: it has the token that belongs to the cookie."""
        self.token = self.get(f"{AUTH}/csrf").get_json()["csrf_token"]

    def login(self, email: str, password: str = PASSWORD, *, remember: bool = False, **headers: str) -> TestResponse:
        """Fill in the sign-in page."""
        self.load()
        answer = self.post(f"{AUTH}/login", {"email": email, "password": password, "remember": remember}, **headers)
        self.token = (answer.get_json() or {}).get("csrf_token", self.token)
        return answer

    @property
    def cookie(self) -> str:
        """The cookie as it would be sent."""
        found = self.client.get_cookie("deerflow_session", domain=self.base.partition("//")[2].partition(":")[0])
        return found.value if found is not None else ""
