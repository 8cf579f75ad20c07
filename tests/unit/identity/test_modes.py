"""Modes are refused where somebody could pass for somebody else."""

from typing import Any

import pytest

from deerflow import project
from deerflow.errors import ConfigError
from deerflow.identity import require_safe
from deerflow.settings import Settings
from tests.conftest import GRAPHS

HANDLED = GRAPHS.parent.parent / "projects" / "custom_auth" / "langgraph.json"
SECRET = "a-secret-that-only-these-tests-know-and-nobody-else"
ELSEWHERE = "postgresql+psycopg://db.example.org/app"


@pytest.mark.parametrize(
    ("values", "handlers", "told"),
    [
        ({"auth": "none", "host": "0.0.0.0"}, False, "listens on this machine only"),
        ({"auth": "none", "host": "192.168.1.5"}, False, "listens on this machine only"),
        ({"auth": "none", "host": "localhost"}, False, None),
        ({"auth": "none", "host": "0.0.0.0"}, True, None),
        ({"auth": "accounts", "host": "0.0.0.0"}, False, None),
        ({"auth": "accounts", "database_url": ELSEWHERE}, False, "DEERFLOW_SECRET"),
        ({"auth": "accounts", "database_url": ELSEWHERE}, True, "DEERFLOW_SECRET"),
        ({"auth": "accounts", "secret": "short"}, False, "at least 32 characters"),
        ({"auth": "accounts", "database_url": ELSEWHERE, "secret": SECRET}, False, None),
        ({"auth": "trusted-header"}, False, "DEERFLOW_TRUSTED_PROXIES"),
        ({"auth": "trusted-header", "trusted_proxies": "*"}, False, "DEERFLOW_TRUSTED_PROXIES"),
        ({"auth": "trusted-header", "trusted_proxies": "10.0.0.1"}, False, None),
        ({"auth": "trusted-header", "trusted_proxies": "10.0.0.1"}, True, "both say who is calling"),
    ],
)
def test_what_is_refused_at_the_start(tmp_path: Any, values: dict[str, str], handlers: bool, told: str | None) -> None:  # noqa: FBT001
    config = HANDLED if handlers else GRAPHS
    settings = Settings(data=tmp_path, config=config, **{"database_url": "", "secret": "", **values})
    if told is None:
        require_safe(settings, project.load(config))
        return
    with pytest.raises(ConfigError, match=told):
        require_safe(settings, project.load(config))
