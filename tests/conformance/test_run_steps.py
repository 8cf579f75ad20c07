"""The page of a run whose log names no node: its checkpoints do, on both databases."""

import re
from html import unescape
from typing import Any

from tests.live import Live


def nodes(live: Live, run: dict[str, Any]) -> list[tuple[str, str]]:
    """The nodes of the timeline with what stands beside them, for a reader without a script."""
    page = live.http().get(f"/console/runs/{run['run_id']}?steps=1").text
    rows = re.findall(r'<li class="step \w+"><code>(.*?)</code><span class="length">(.*?)</span>', page, re.DOTALL)
    return [(unescape(name), told.strip()) for name, told in rows]


def finished(live: Live, graph: str, thread_id: str, **asked: Any) -> dict[str, Any]:
    run = live.client().runs.create(thread_id, graph, stream_mode="values", **asked)
    live.client().runs.join(thread_id, run["run_id"])
    return dict(run)


def test_nodes_and_the_time_between_checkpoints(live: Live) -> None:
    thread_id = live.client().threads.create()["thread_id"]
    run = finished(live, "steps", thread_id, input={"pause": 0.1})
    found = nodes(live, run)
    assert [name for name, _ in found] == ["one", "two", "three", "four"]
    assert all(re.fullmatch(r"\d{2,3} ms|\d+\.\d s", told) for _, told in found), found


def test_a_question_is_where_the_run_stands(live: Live) -> None:
    thread_id = live.client().threads.create()["thread_id"]
    first = finished(live, "asking", thread_id, input={"log": []})
    assert [name for name, _ in nodes(live, first)] == ["before", "ask"]
    assert nodes(live, first)[-1][1] == "not finished"
    second = finished(live, "asking", thread_id, command={"resume": "yes"})
    assert nodes(live, second) == [("ask", "ended")]
