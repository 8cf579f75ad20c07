"""Which origins' pages may call: what settings, langgraph.json and the mode say together."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deerflow import project
from deerflow.errors import ConfigError
from deerflow.identity.origins import Origins, origins_of
from deerflow.settings import Settings
from tests.conftest import GRAPHS

APP, OTHER, HERE = "https://app.example.org", "https://other.example.com", "http://localhost:3000"


def origins(*, auth: str = "accounts", setting: str = "", handlers: bool = False, **cors: Any) -> Origins:
    """The rule for these words."""
    loaded = project.load(GRAPHS)
    loaded = replace(loaded, http=project.Http(cors=project.Cors(**cors)))
    if handlers:
        loaded = replace(loaded, auth=project.Auth("./auth.py:auth"))
    return origins_of(Settings(data=Path("unused"), auth=auth, cors_origins=setting), loaded)


@pytest.mark.parametrize(
    ("words", "allowed", "trusted"),
    [
        ({}, {APP, OTHER, HERE, "null"}, set()),
        ({"auth": "trusted-header"}, set(), set()),
        ({"auth": "none"}, {HERE}, {HERE}),
        ({"auth": "none", "handlers": True}, {APP, OTHER, HERE, "null"}, set()),
        ({"setting": APP}, {APP}, {APP}),
        ({"setting": f"{APP}/, HTTPS://Other.example.com:443"}, {APP, OTHER}, {APP, OTHER}),
        ({"setting": "none"}, set(), set()),
        ({"setting": "*"}, {APP, OTHER, HERE, "null"}, set()),
        ({"setting": APP, "auth": "none"}, {APP, HERE}, {APP, HERE}),
        ({"setting": APP, "auth": "trusted-header"}, {APP}, {APP}),
        ({"setting": "*", "auth": "none"}, {HERE}, {HERE}),
        ({"allow_origins": (APP,)}, {APP}, {APP}),
        ({"allow_origins": ("*",), "auth": "none"}, {HERE}, {HERE}),
        ({"allow_origins": (APP,), "setting": OTHER}, {OTHER}, {OTHER}),
        ({"allow_origins": ()}, set(), set()),
        ({"allow_origin_regex": r"https://.*\.example\.org"}, {APP}, {APP}),
        ({"allow_origin_regex": r"https://.*\.example\.org", "allow_origins": (OTHER,)}, {APP, OTHER}, {APP, OTHER}),
        ({"allow_origin_regex": r"https://app\.example"}, set(), set()),
        ({"allow_origin_regex": ".*", "auth": "none"}, {HERE}, {HERE}),
        ({"allow_origin_regex": ".*", "setting": APP}, {APP}, {APP}),
        ({"expose_headers": ("x-mine",)}, {APP, OTHER, HERE, "null"}, set()),
    ],
)
def test_who_may_call(words: dict[str, Any], allowed: set[str], trusted: set[str]) -> None:
    """And of those whom the mode or ``*`` lets in, none may do what a page of the server's own may."""
    rule, asked = origins(**words), (APP, OTHER, HERE, "null", "")
    assert {origin for origin in asked if origin and rule.allows(origin)} == allowed
    assert {origin for origin in asked if rule.trusts(origin)} == trusted


@pytest.mark.parametrize("cors", [{}, {"allow_origins": ("*",)}, {"allow_origin_regex": "https?://.*"}])
def test_cookies_never_count_for_everybody(cors: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not origins(allow_credentials=True, **cors).credentials
    assert "needs origins that are named" in caplog.text
    assert origins(allow_credentials=True, allow_origins=(APP,)).credentials


def test_without_accounts_a_star_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        origins(auth="none", allow_origins=("*",))
    assert "every page in the world could act as you" in caplog.text


@pytest.mark.parametrize(
    "wrong", ["app.example.org", "https://a.org/path", "https://*.a.org", "https://u@a.org", "null"]
)
def test_what_is_no_origin_stops_the_start(wrong: str) -> None:
    with pytest.raises(ConfigError, match="is no origin"):
        origins(setting=wrong)
