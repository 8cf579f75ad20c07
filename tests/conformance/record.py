"""Records what a server streams, for each stream mode and graph; ``recorded.json`` is the reference server's.

Run by hand, while the server serves ``tests/graphs/recorded.py`` under the ids of our langgraph.json:
``python -m tests.conformance.record http://127.0.0.1:2024 > tests/conformance/recorded.json``

The file holds, by the name of a case, its frames, one a line. What differs between two recordings is
masked: ids become ``<1>``, ``<2>``... in the order of their first appearance within the case (so the same
id stays the same), the run's and the thread's own ``<run>`` and ``<thread>``, times ``<time>``. Object keys
that say how a server is installed are left out (INSTALLATION), the values of others masked (MASKED).
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx

Frames = list[dict[str, Any]]
"""The events of one stream: ``event`` and ``data``."""

INPUT = {"messages": [{"role": "user", "content": "hi", "id": "h1"}]}
MODES = [
    "values",
    "updates",
    "messages",
    "messages-tuple",
    "custom",
    "debug",
    "tasks",
    "checkpoints",
    "events",
]
GRAPHS = ["plain", "subgraph", "interrupt", "error"]
COMBINATIONS = [["values", "updates"], ["messages-tuple", "values", "custom"], ["messages", "events"], MODES]
STOPPED = ["values", "updates", "all"]
"""For these, a run that ``interrupt_before`` stops is recorded too."""

INSTALLATION = {
    "langgraph_version",
    "langgraph_api_version",
    "langgraph_plan",
    "langgraph_host",
    "langgraph_api_url",
    "langgraph_auth_user",
    "langgraph_auth_user_id",
    "langgraph_auth_permissions",
    "langgraph_request_id",
    "__request_start_time_ms__",
    "__after_seconds__",
    "user_id",
}
"""Keys of configs and metadata that say where and for whom a run runs, not what it does."""

MASKED = {"lc_versions"}
"""Keys whose values change with every release of a library."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00")


def cases() -> dict[str, dict[str, Any]]:
    """The bodies of the runs to record, by the name of the case."""
    found: dict[str, dict[str, Any]] = {}
    for modes in [*([mode] for mode in MODES), *COMBINATIONS]:
        name = "all" if modes == MODES else "+".join(modes)
        for graph in GRAPHS:
            found[f"{name} {graph}"] = {"assistant_id": f"rec_{graph}", "stream_mode": modes}
        inside = {"assistant_id": "rec_subgraph", "stream_mode": modes, "stream_subgraphs": True}
        found[f"{name} inside subgraph"] = inside
        if name in STOPPED:
            before = {"assistant_id": "rec_plain", "stream_mode": modes, "interrupt_before": ["note"]}
            found[f"{name} interrupt_before"] = before
    return found


def record(http: httpx.Client, body: dict[str, Any]) -> Frames:
    """One run's stream on a thread of its own, masked."""
    thread = http.post("/threads", json={}).json()["thread_id"]
    with http.stream("POST", f"/threads/{thread}/runs/stream", json={"input": INPUT, **body}) as answer:
        text = answer.read().decode()
    assert answer.status_code == httpx.codes.OK, text
    run = answer.headers["Content-Location"].rpartition("/")[2]
    return mask(list(_frames(text)), {run: "<run>", thread: "<thread>"})  # type: ignore[no-any-return]


def mask(recorded: Any, known: dict[str, str]) -> Any:
    """The same JSON without what differs from one recording to the next. *known*: the names of ids."""
    names = dict(known)
    text = json.dumps(_neutral(recorded), sort_keys=True)
    text = _ID.sub(lambda found: names.setdefault(found[0], f"<{len(names) - len(known) + 1}>"), text)
    return json.loads(_TIME.sub("<time>", text))


def _frames(text: str) -> Iterator[dict[str, Any]]:
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            yield {"event": fields["event"], "data": json.loads(fields["data"])}


def _neutral(value: Any) -> Any:
    """The same JSON on every installation."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in INSTALLATION}
        return {k: "<masked>" if k in MASKED else _neutral(v) for k, v in kept.items()}
    return [_neutral(item) for item in value] if isinstance(value, list) else value


def main(url: str) -> None:
    """Print the recording of the server at *url*."""
    with httpx.Client(base_url=url, timeout=60) as http:
        recorded = {name: record(http, body) for name, body in cases().items()}
    lines = {name: ",\n".join(map(json.dumps, frames)) for name, frames in recorded.items()}
    sys.stdout.write("{\n" + ",\n".join(f'"{name}": [\n{text}\n]' for name, text in lines.items()) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
