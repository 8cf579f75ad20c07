"""``client.threads.stream()`` of the unmodified SDK: the v2 protocol over SSE and over a WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import pytest
from langgraph_sdk import get_client

from tests.live import Live

by_transport = pytest.mark.parametrize("transport", ["sse", "websocket"])


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an ``async def`` test on a loop of its own."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


@asynccontextmanager
async def talking(live: Live, assistant: str, transport: str = "sse") -> AsyncIterator[tuple[Any, Any]]:
    """A client and a thread's stream; over a WebSocket the SDK sends only the stream's own headers."""
    client = get_client(url=live.url, api_key=live.api_key)
    kind: Any = transport
    try:
        async with client.threads.stream(assistant_id=assistant, headers=live.headers, transport=kind) as thread:
            yield client, thread
    finally:
        await client.aclose()


@by_transport
@on_a_loop
async def test_an_answer_comes_word_by_word(live: Live, transport: str) -> None:
    async with talking(live, "chat", transport=transport) as (client, thread):
        started = await thread.run.start(
            input={"messages": [{"type": "human", "content": "hi"}]}, config={"configurable": {"words": 3}}
        )
        (message,) = [message async for message in thread.messages]
        assert [delta async for delta in message.text] == ["w0 ", "w1 ", "w2 "]
        values = await thread.output
        assert [message["type"] for message in values["messages"]] == ["human", "ai"]
        run = await client.runs.get(thread.thread_id, started["run_id"])
        assert run["status"] == "success"


@by_transport
@on_a_loop
async def test_a_question_is_answered_on_the_same_stream(live: Live, transport: str) -> None:
    """And the next run, too."""
    async with talking(live, "asking", transport=transport) as (_, thread):
        await thread.run.start(input={})
        while not thread.interrupted:  # noqa: ASYNC110 - the SDK has no event for it
            await asyncio.sleep(0.01)
        assert [asked["value"] for asked in thread.interrupts] == [{"question": "ok?"}]
        await thread.run.respond("yes")
        assert (await thread.output) == {"log": ["before", "yes"]}
        assert [event["params"]["data"]["event"] async for event in thread.subscribe(["lifecycle"])][-1] == "completed"


async def until(events: AsyncIterator[dict[str, Any]], how: str) -> AsyncIterator[dict[str, Any]]:
    """Events up to a root lifecycle event of that kind."""
    async for event in events:
        yield event
        if event["method"] == "lifecycle" and event["params"]["data"]["event"] == how:
            return


@on_a_loop
async def test_a_failure_is_told(live: Live) -> None:
    async with talking(live, "faulty") as (_, thread):
        await thread.run.start(input={"kind": "told"})
        with pytest.raises(RuntimeError, match="Run errored: boom happened"):
            await thread.output


@on_a_loop
async def test_who_comes_back_hears_it_all_again(live: Live) -> None:
    """Another client, on the thread's id alone, while the run goes on: nothing is missing, nothing comes twice."""
    async with talking(live, "steps") as (client, thread):
        await thread.run.start(input={"pause": 0.3})
        async with client.threads.stream(thread.thread_id, assistant_id="steps", headers=live.headers) as again:
            first, second = await asyncio.gather(
                *(told(until(each.subscribe(["values", "lifecycle"]), "completed")) for each in (thread, again))
            )
    assert first == second
    assert len({event["event_id"] for event in first}) == len(first)


async def told(events: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event async for event in events]


@on_a_loop
async def test_a_run_is_stopped_by_its_id(live: Live) -> None:
    """A reopened thread's run is named by its lifecycle events alone."""
    async with talking(live, "steps") as (client, thread):
        await thread.run.start(input={"pause": 30})
        async for event in until(thread.subscribe(["lifecycle"]), "interrupted"):
            if event["params"]["data"]["event"] == "running":
                await client.runs.cancel(thread.thread_id, event["event_id"].split(":")[1])
