"""Coming back to a run: Last-Event-ID, filters, several readers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deerflow.api.mounts import GATEWAY, PLATFORM, Mount
from tests.conformance.conftest import Wire, by_mount
from tests.sse import Frame, read_frames
from tests.traces import hold, let_go

MODES = ["values", "updates", "custom"]


@pytest.fixture
def ended(wire: Wire) -> str:
    """A run that has ended, with fourteen events."""
    return wire.ended("steps", input={"pause": 0.0}, stream_mode=MODES)


@pytest.mark.parametrize("everything", ["-1", "-", "0", "0-0"])
def test_everything(wire: Wire, ended: str, everything: str) -> None:
    """Every word for the beginning replays it all and closes."""
    frames = wire.follow(ended, everything)
    assert [frame.id for frame in frames] == list(range(1, 15))
    assert frames[0].event == "metadata"


def test_every_index(wire: Wire, ended: str) -> None:
    """scenario 25: from whichever event a reader comes back, it gets exactly the rest."""
    frames = wire.follow(ended)
    for place in range(len(frames) + 1):
        assert wire.follow(ended, str(place)) == frames[place:]
        assert wire.follow(ended, f"{place}-0") == frames[place:]


@pytest.mark.parametrize(
    "last_id", [None, "", "garbage", "3.5", "-7", "1-1", "99", "9" * 15, "9" * 400, "\xb2", "1795332613476-0"]
)
def test_nothing_left(wire: Wire, ended: str, last_id: str | None) -> None:
    """scenario 27, 28: no id, one that is none, or one from the future: the stream of an ended run closes at once."""
    assert wire.follow(ended, last_id) == []


@pytest.mark.parametrize("last_id", [None, "garbage", "99"])
def test_live_only(wire: Wire, trace: Path, last_id: str | None) -> None:
    """scenario 27: on a running run the same ids mean from now on: nothing old, nothing missing."""
    hold(trace, "two")
    run_id = wire.create("steps", input={"trace": str(trace), "pause": 0.7}, stream_mode=MODES)
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with wire.open("GET", run_id, "/stream", headers={"Last-Event-ID": "-1"}) as all_of_it:
        before = next(f for f in read_frames(all_of_it) if f.event == "updates")
    with wire.open("GET", run_id, "/stream", headers=headers) as answer:
        let_go(trace)
        frames = list(read_frames(answer))
    assert frames[0].id > before.id
    assert frames == wire.follow(run_id)[frames[0].id - 1 :]


def test_two_readers(wire: Wire) -> None:
    """scenario 23: each reader has a cursor of its own: both get every token."""
    body = {"words": 30, "pause": 0.02}
    run_id = wire.create("chat", input={"messages": []}, config={"configurable": body}, stream_mode="messages-tuple")
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda _: wire.follow(run_id), range(2))
    assert [frame.id for frame in one] == list(range(1, len(one) + 1))
    assert len(one) > 30
    assert one == other


def test_reader_in_the_middle(wire: Wire) -> None:
    """Whoever comes back while the run goes on gets the rest without a gap or a repeat."""
    run_id = wire.create("steps", input={"pause": 0.3}, stream_mode=MODES)
    seen: list[Frame] = []
    while not seen or wire.status(run_id) == "running":
        last_id = str(seen[-1].id) if seen else "-1"
        with wire.open("GET", run_id, "/stream", headers={"Last-Event-ID": last_id}) as answer:
            for frame in read_frames(answer):
                seen.append(frame)
                break
    seen += wire.follow(run_id, str(seen[-1].id))
    assert seen == wire.follow(run_id)


@pytest.mark.parametrize(
    "query",
    [
        "?stream_mode=custom&stream_mode=updates",
        '?stream_mode=["custom","updates"]',
        "?stream_mode=custom,updates",
    ],
    ids=["repeated", "JSON", "commas"],
)
@by_mount
def test_chosen_modes(wire: Wire, ended: str, mount: Mount, query: str) -> None:
    """A joiner chooses among the modes in the spelling of any SDK; ids stay those of the whole."""
    path = f"{mount.prefix}{wire.path(ended)}/stream{query}"
    with wire.http.stream("GET", path, headers={"Last-Event-ID": "-1"}) as answer:
        frames = list(read_frames(answer))
    chosen = {"metadata", "custom", "updates"}
    assert frames == [frame for frame in wire.follow(ended) if frame.event in chosen]


def test_chosen_messages(wire: Wire) -> None:
    """``messages-tuple`` is stored as ``messages`` and found under either name."""
    run_id = wire.ended("chat", input={"messages": []}, stream_mode=["messages-tuple", "values"])
    for name in ("messages-tuple", "messages"):
        events = {frame.event for frame in wire.follow(run_id, query=f"?stream_mode={name}")}
        assert events == {"metadata", "messages"}


def test_chosen_modes_of_subgraphs(wire: Wire) -> None:
    """A mode is chosen with all its namespaces."""
    run_id = wire.ended("nested", input={"log": []}, stream_mode=["values", "updates"], stream_subgraphs=True)
    events = [frame.event for frame in wire.follow(run_id, query="?stream_mode=updates")]
    assert {event.partition("|")[0] for event in events} == {"metadata", "updates"}
    assert any("|" in event for event in events)


def test_both_mounts_tell_the_same(wire: Wire, ended: str) -> None:
    """A run started through one mount can be followed through the other."""
    streams = []
    for mount in (PLATFORM, GATEWAY):
        with wire.open("GET", ended, "/stream", mount, headers={"Last-Event-ID": "-1"}) as answer:
            streams.append(list(read_frames(answer)))
    assert streams[0] == streams[1]


def test_join_by_post(wire: Wire, ended: str) -> None:
    """The gateway's clients may follow by POST."""
    with wire.open("POST", ended, "/stream", GATEWAY, headers={"Last-Event-ID": "-1"}) as answer:
        assert list(read_frames(answer)) == wire.follow(ended)
