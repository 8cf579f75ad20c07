"""The checkpoint store on both databases, as two processes have it open."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from deerflow.graphs.gate import Gate
from deerflow.graphs.savers import Savers, open_savers
from deerflow.settings import Settings

Act = Callable[[Savers, Savers], Awaitable[None]]


@pytest.fixture
def run(settings: Settings) -> Callable[[Act], None]:
    """Run an async body with the store open, twice: as two processes would have it."""

    def go(act: Act) -> None:
        async def both() -> None:
            async with open_savers(settings.checkpoints) as one, open_savers(settings.checkpoints) as other:
                await act(one, other)

        asyncio.run(both())

    return go


def open_gate() -> Gate:
    """A gate that lets everything pass: there is no log to flush, and the lease lasts."""
    return Gate(_nothing, lambda: True)


async def _nothing() -> None:
    return
