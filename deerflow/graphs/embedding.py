"""Embedding: langgraph.json's ``store.index``, by which store items are found by what they mean.

Texts are embedded before the store's transaction begins: a model that takes its time, or fails, holds no lock and
leaves no half of an item.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from langchain_core.embeddings import Embeddings
from langgraph.store.base import Op, PutOp, SearchOp, ensure_embeddings

from deerflow.errors import ConfigError
from deerflow.graphs.modules import load_target
from deerflow.project import Project, StoreIndex

log = logging.getLogger(__name__)

Vectors = Mapping[str, Sequence[float]]


class EmbeddingFailed(RuntimeError):
    """Texts could not be embedded; nothing was stored. The text is for the caller, the reason for the log."""


class Embedding:
    """The embedding of one project."""

    def __init__(self, index: StoreIndex, embeddings: Embeddings | None) -> None:
        self.index = index
        self._embeddings = embeddings

    @classmethod
    def load(cls, project: Project) -> "Embedding | None":
        """Import it, after the graphs (whose import path it shares); None when the project names none.

        ConfigError says in one sentence what is wrong with it.
        """
        index = project.store.index
        if index is None:
            return None
        try:
            return cls(index, ensure_embeddings(_named(project, index.embed)))
        except Exception as error:  # user code may raise anything at all while it is imported
            reason = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            raise ConfigError(f"langgraph.json's store.index.embed ({index.embed}): {reason}") from error

    @classmethod
    def broken(cls, index: StoreIndex) -> "Embedding":
        """One that could not be imported: what needs it fails, and nothing else."""
        return cls(index, None)

    async def vectors(self, texts: Iterable[str]) -> dict[str, list[float]]:
        """The vector of each text; EmbeddingFailed when one cannot be had."""
        asked = list(dict.fromkeys(texts))
        if not asked:
            return {}
        if self._embeddings is None:
            raise EmbeddingFailed("The project's embedding could not be imported; the worker's log says why")
        try:
            given = [[float(number) for number in vector] for vector in await self._embeddings.aembed_documents(asked)]
        except Exception as error:
            log.exception("The project's embedding failed")
            raise EmbeddingFailed(f"The project's embedding failed ({type(error).__name__}); try again") from error
        self._check(given, len(asked))
        return dict(zip(asked, given, strict=True))

    def _check(self, given: list[list[float]], count: int) -> None:
        whole = all(len(vector) == self.index.dims and all(map(math.isfinite, vector)) for vector in given)
        if len(given) != count or not whole:
            told = sorted({len(vector) for vector in given})
            log.error("An embedding is not what store.index says", extra={"given": told, "dims": self.index.dims})
            raise EmbeddingFailed(
                f"The project's embedding must give a vector of {self.index.dims} finite numbers for each text"
            )


def _named(project: Project, embed: str) -> Any:
    """The project's function or Embeddings, or LangChain's name of a model: that has neither dot nor slash."""
    where = embed.rpartition(":")[0]
    return load_target(project, embed, kind="embed") if "." in where or "/" in where else embed


_NONE: Vectors = {}
embedded: ContextVar[Vectors] = ContextVar("embedded", default=_NONE)
"""The vectors of the batch that the official store is carrying out."""


class _Ahead(Embeddings):
    """What the official stores ask for vectors: they are there already."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [list(embedded.get()[text]) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)


def index_config(index: StoreIndex | None) -> Any:
    """The official stores' configuration; the one for SQLite calls the fields differently."""
    if index is None:
        return None
    fields = list(index.fields)
    return {"dims": index.dims, "embed": _Ahead(), "fields": fields, "text_fields": fields}


def require_dims(dims: int, stored: int) -> None:
    """Refuse an index of another length than what is stored: the two could not be compared."""
    if stored != dims:
        raise ConfigError(
            f"langgraph.json's store.index.dims is {dims}, but the items here were embedded with {stored}: put "
            "it back, or drop the table store_vectors, empty vector_migrations, upgrade, and put the items again"
        )


class Indexed(Protocol):
    """An official store, as far as it knows what is to be embedded."""

    index_config: Any

    def _prepare_batch_PUT_queries(self, put_ops: Sequence[tuple[int, PutOp]]) -> tuple[Any, Any]: ...  # noqa: N802


def texts_of(store: Indexed, ops: Sequence[Op]) -> list[str]:
    """What has to be embedded before these can be carried out."""
    if store.index_config is None:
        return []
    puts = [(place, op) for place, op in enumerate(ops) if isinstance(op, PutOp)]
    _, request = store._prepare_batch_PUT_queries(puts) if puts else (None, None)
    put = [parameters[-1] for parameters in request[1]] if request else []
    return [*put, *(op.query for op in ops if isinstance(op, SearchOp) and op.query)]
