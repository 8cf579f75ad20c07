"""What LangGraph alone does: the token graph consumed in this process, with the server's saver and no JSON.

``python -m bench.inprocess 5000`` prints token events a second.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid4

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

from bench.graphs import TokenState, tokens
from deerflow.graphs.gate import Gate
from deerflow.graphs.savers import Savers, open_savers, set_up


async def _nothing_before() -> None:
    return


async def token_rate(savers: Savers, count: int) -> float:
    """Token events a second between the first and the last one of one run."""
    thread_id: UUID = uuid4()
    saver = await savers.for_run(thread_id, 1, Gate(_nothing_before, lambda: True))
    graph = tokens.copy(update={"checkpointer": saver})
    asked: TokenState = {"messages": [HumanMessage("go")], "tokens": count, "delay": 0.0}
    config: RunnableConfig = {"configurable": {"thread_id": str(thread_id)}}
    times = []
    async for mode, _ in graph.astream(asked, config, stream_mode=["messages", "values"], durability="async"):
        if mode == "messages":
            times.append(time.perf_counter())
    return (count - 1) / (times[count - 1] - times[0])


async def _main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="deerflow-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'checkpoints.db'}"
        await set_up(url)
        async with open_savers(url) as savers:
            await token_rate(savers, 100)  # imports and caches
            sys.stdout.write(f"{await token_rate(savers, count)}\n")


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
