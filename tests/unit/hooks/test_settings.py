"""Settings and langgraph.json together say where webhooks may go."""

import json
from pathlib import Path
from typing import Any

import pytest

from deerflow.backend import open_backend
from deerflow.hooks.policy import Policy
from deerflow.settings import Settings


@pytest.mark.parametrize(
    ("said", "chosen", "expected"),
    [
        ({}, {}, Policy()),
        ({}, {"webhook_allow_http": True}, Policy(allow_http=True)),
        ({}, {"webhook_allow_loopback": True}, Policy(allow_loopback=True)),
        ({}, {"webhook_allow_private": True}, Policy(allow_private=True)),
        ({"require_https": False}, {}, Policy(allow_http=True)),
        ({"require_https": True}, {"webhook_allow_http": True}, Policy()),
        ({"disable_loopback": False}, {}, Policy(allow_loopback=True)),
        ({"disable_loopback": True}, {"webhook_allow_loopback": True}, Policy()),
        (
            {"allowed_domains": ["a.org"], "allowed_ports": [443], "max_url_length": 9},
            {},
            Policy(allowed_domains=("a.org",), allowed_ports=(443,), max_url_length=9),
        ),
    ],
)
def test_langgraph_json_wins_in_both_directions(
    tmp_path: Path, said: dict[str, Any], chosen: dict[str, Any], expected: Policy
) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {"a": "./a.py:g"}, "webhooks": {"url": said}}))
    backend = open_backend(Settings(data=tmp_path, config=file, **chosen))
    backend.close()
    assert backend.webhook_policy == expected
