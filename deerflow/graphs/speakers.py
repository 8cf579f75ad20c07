"""The models of a run that are speaking: their messages in content blocks, each from its beginning to its end."""

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage

from deerflow.graphs import jsonable
from deerflow.graphs.content import Telling
from deerflow.graphs.transformers import Part

Namespace = tuple[str, ...]
Data = dict[str, Any]


_OF_RUN = "lc_run--"
"""How LangChain names the message of a model's run, piece by piece, where the provider does not."""


class Speakers:
    """The messages that are under way."""

    def __init__(self) -> None:
        self._speaking: list[_Speaker] = []

    def see(self, namespace: Namespace, message: BaseMessage, metadata: Data) -> Iterator[Part]:
        """What a message, or a piece of one, says. Others than a model's are told by values and tools."""
        if isinstance(message, AIMessageChunk):
            yield from self._go_on(namespace, message, metadata)
        elif isinstance(message, AIMessage):
            speaker = self._begin(namespace, message, metadata)
            yield from map(speaker.part, speaker.telling.whole(message))
            self._speaking.remove(speaker)

    def close_of(self, task: Data) -> Iterator[Part]:
        """What is left of the messages of a task that is over: its node did not listen to their end."""
        for speaker in [speaker for speaker in self._speaking if speaker.task_id == task["id"]]:
            yield from self._close(speaker, task.get("error"))

    def close(self, error: BaseException | None) -> Iterator[Part]:
        """What is left of all messages."""
        for speaker in list(self._speaking):
            yield from self._close(speaker, error)

    def _go_on(self, namespace: Namespace, message: AIMessageChunk, metadata: Data) -> Iterator[Part]:
        speaker = next((speaker for speaker in self._speaking if speaker.says(message, metadata)), None)
        if speaker is None:
            speaker = self._begin(namespace, message, metadata)
            yield speaker.part(speaker.telling.begin(message))
        yield from map(speaker.part, speaker.telling.go_on(message))
        if message.chunk_position == "last":
            yield from self._close(speaker, None)

    def _begin(self, namespace: Namespace, message: AIMessage, metadata: Data) -> "_Speaker":
        speaker = _Speaker(namespace, metadata, Telling(str(message.id)))
        self._speaking.append(speaker)
        together = [other for other in self._speaking if other.namespace == namespace]
        for one in together if len(together) > 1 else ():
            one.telling.shared = True
        return speaker

    def _close(self, speaker: "_Speaker", error: Any) -> Iterator[Part]:
        self._speaking.remove(speaker)
        if not error:
            yield from map(speaker.part, speaker.telling.end())
            return
        why = jsonable.describe_error(error)["message"] if isinstance(error, BaseException) else str(error)
        yield speaker.part(speaker.telling.fail(why))


class _Speaker:
    """One message and where it comes from."""

    def __init__(self, namespace: Namespace, metadata: Data, telling: Telling) -> None:
        self.namespace = namespace
        self.metadata = metadata
        self.telling = telling

    @property
    def task_id(self) -> str:
        """The task whose node asked the model."""
        return str(self.metadata.get("langgraph_checkpoint_ns", "")).rpartition(":")[2]

    def says(self, message: AIMessageChunk, metadata: Data) -> bool:
        """Whether this is a piece of it.

        LangGraph gives all pieces of one answer the very same metadata, and those of the answers to several prompts
        that a model got at once. Their ids tell these apart, unless the provider has ids of its own: then some pieces
        of one message have that and others LangChain's.
        """
        ids = {str(message.id), self.telling.message_id}
        return metadata is self.metadata and (len(ids) == 1 or not all(one.startswith(_OF_RUN) for one in ids))

    def part(self, data: Data) -> Part:
        """What it says, among the parts of LangGraph's stream."""
        return self.namespace, "messages", (data, self.metadata)
