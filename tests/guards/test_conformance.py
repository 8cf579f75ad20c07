"""Every method of the Python SDK's clients has a case in ``tests/conformance``."""

import re
from pathlib import Path

import pytest
from langgraph_sdk import get_client, get_sync_client

from deerflow.settings import ROOT

CLIENTS = ("assistants", "threads", "runs", "crons", "store")


def called(folder: Path) -> set[str]:
    """What the tests call, as ``runs.create``; each of them runs with the sync client and with the async one."""
    texts = (path.read_text() for path in folder.glob("test_sdk_*.py"))
    return {f"{client}.{method}" for text in texts for client, method in re.findall(r"\.(\w+)\.(\w+)\b", text)}


@pytest.mark.parametrize("make", [get_client, get_sync_client])
def test_every_method_of_the_sdk_has_a_case(make: type) -> None:
    client = make(url="http://127.0.0.1")
    there = {
        f"{name}.{method}"
        for name in CLIENTS
        for method in dir(getattr(client, name))
        if not method.startswith("_") and callable(getattr(getattr(client, name), method))
    }
    assert len(there) > 40
    assert there - called(ROOT / "tests" / "conformance") == set()


def test_every_part_of_a_threads_session_has_a_case() -> None:
    """What the session of ``client.threads.stream()`` can do."""
    session = get_client(url="http://127.0.0.1").threads.stream(assistant_id="a")
    there = {name for name in dir(session) if not name.startswith("_")} - {"observe_applied_through_seq"}
    text = (ROOT / "tests" / "conformance" / "test_sdk_thread_stream.py").read_text()
    used = set(re.findall(r"\.(\w+)", text)) | {"assistant_id", "subagents", "close"}  # an argument, an alias, leaving
    assert there - used == set()
