"""Items: what the store API asks of one owner's store, in plain JSON.

An item: ``{"namespace": [label], "key", "value": {}, "created_at", "updated_at"}``; of a search also ``score``, null
unless it was a search by meaning.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from langgraph.store.base import NOT_PROVIDED, BaseStore, Item, SearchItem

from deerflow.graphs.jsonable import to_plain


class ItemRefused(ValueError):
    """The store cannot do this; the text says why."""


async def carry_out(store: BaseStore, act: str, asked: dict[str, Any]) -> Any:
    """Do what is asked, and answer it; ItemRefused when it cannot be done, whoever asks.

    EmbeddingFailed when it might be done later.
    """
    try:
        return to_plain(await _ACTS[act](store, asked))
    except (ValueError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
        raise ItemRefused(str(error).partition("\n")[0]) from error


async def _put(store: BaseStore, asked: dict[str, Any]) -> None:
    ttl = NOT_PROVIDED if asked["ttl"] is None else asked["ttl"]
    await store.aput(tuple(asked["namespace"]), asked["key"], asked["value"], asked["index"], ttl=ttl)


async def _get(store: BaseStore, asked: dict[str, Any]) -> dict[str, Any] | None:
    found = await store.aget(tuple(asked["namespace"]), asked["key"], refresh_ttl=asked["refresh_ttl"])
    return None if found is None else _shown(found)


async def _delete(store: BaseStore, asked: dict[str, Any]) -> None:
    await store.adelete(tuple(asked["namespace"]), asked["key"])


async def _search(store: BaseStore, asked: dict[str, Any]) -> dict[str, Any]:
    namespace = tuple(asked.pop("namespace"))
    return {"items": [_found(item) for item in await store.asearch(namespace, **asked)]}


async def _namespaces(store: BaseStore, asked: dict[str, Any]) -> dict[str, Any]:
    prefix, suffix = (tuple(asked.pop(name)) or None for name in ("prefix", "suffix"))
    found = await store.alist_namespaces(prefix=prefix, suffix=suffix, **asked)
    return {"namespaces": [list(namespace) for namespace in found]}


def _found(item: SearchItem) -> dict[str, Any]:
    return {**_shown(item), "score": item.score}


def _shown(item: Item) -> dict[str, Any]:
    times = {name: getattr(item, name).isoformat(timespec="microseconds") for name in ("created_at", "updated_at")}
    return {"namespace": list(item.namespace), "key": item.key, "value": item.value, **times}


_ACTS: dict[str, Callable[[BaseStore, dict[str, Any]], Awaitable[Any]]] = {
    "put": _put,
    "get": _get,
    "delete": _delete,
    "search": _search,
    "list_namespaces": _namespaces,
}
