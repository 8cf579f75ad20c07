"""Gated: a saver whose writes go through its attempt's gate, and who keeps what a rollback puts back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

from deerflow.graphs.gate import Gate


class Gated(BaseCheckpointSaver[Any], ABC):
    """A saver whose writes go through a gate. What is missing is how a checkpoint's writes are kept."""

    gate: Gate
    run_id: str | None = None
    """The run that writes; None: an edit."""
    newest: str = ""
    """The thread's newest checkpoint when this attempt began: ids grow, so what is above it is the run's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: set[tuple[str, str]] = set()

    @abstractmethod
    async def keep(self, checkpoint_ns: str, checkpoint_id: str) -> None:
        """Keep the writes of a checkpoint for a rollback, unless it is this run's own or they are kept already."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Read a checkpoint; waits for a database that is away for a moment."""
        get = super().aget_tuple
        return await self.gate.insist(lambda: get(config))

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint unless this attempt is over."""
        put = super().aput
        return await self.gate.checkpoint(lambda: put(config, checkpoint, metadata, new_versions))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store a finished node's writes unless this attempt is over; those of a foreign checkpoint are kept first."""
        put = super().aput_writes
        where = (config["configurable"].get("checkpoint_ns", ""), config["configurable"]["checkpoint_id"])

        async def write() -> None:
            if self.run_id is not None and where[1] <= self.newest and where not in self._kept:
                await self.keep(*where)
                self._kept.add(where)
            await put(config, writes, task_id, task_path)

        await self.gate.checkpoint(write)
