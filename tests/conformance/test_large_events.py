"""A state that carries megabytes of text: what streams stays small, what is stored stays whole."""

from typing import Any

from tests.live import Live

PICTURE = "data:image/png;base64," + "iVBORw0K" * 700_000
MESSAGE = {"type": "human", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]}
MOST = 4 << 20
"""As large as an event may be by default."""


def _url(values: dict[str, Any]) -> str:
    return str(values["messages"][0]["content"][0]["image_url"]["url"])


def test_frames_leave_large_texts_out_and_state_and_wait_have_them(live: Live) -> None:
    """scenario 34"""
    thread = live.client().threads.create()["thread_id"]
    given = {"input": {"messages": [MESSAGE]}, "stream_mode": ["values", "messages-tuple"]}
    parts = list(live.client().runs.stream(thread, "chat", **given))
    shown = [_url(part.data) for part in parts if part.event == "values"]
    assert len(shown) >= 2
    assert all(f"{len(PICTURE) + 2} bytes left out" in url and len(url) < 300 for url in shown)
    assert _url(live.client().threads.get_state(thread)["values"]) == PICTURE
    assert _url(live.client().runs.wait(thread, "chat", input={"messages": []})) == PICTURE
    assert _url(live.client().threads.get(thread)["values"]) == PICTURE
    run = live.client().runs.list(thread)[-1]["run_id"]
    raw = live.http().get(f"/threads/{thread}/runs/{run}/stream", headers={"Last-Event-ID": "-1"}).content
    assert max(map(len, raw.split(b"\r\n\r\n"))) < MOST
