"""Begin what a request asks for; under an ``Idempotency-Key`` only once, and a repeat finds what the first has made."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from flask import Response, after_this_request, g, request

from deerflow.api import sse
from deerflow.api.context import backend, json
from deerflow.api.mounts import current_mount
from deerflow.api.wire.headers import configurable_of
from deerflow.domain.bodies import parsed
from deerflow.domain.idempotency import IdempotencyKey, fingerprint
from deerflow.domain.presented import present_run
from deerflow.domain.runs import Ended, Followed, RunSpec
from deerflow.errors import Invalid, NotFound
from deerflow.identity import principal
from deerflow.runtime.submit import Repeat, submit_once
from deerflow.storage import idempotency, runs
from deerflow.storage.database import Tx

Shown = dict[str, Any]
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Begun:
    """A run that this request, or the one that it repeats, has begun; ``shown`` is how clients read it now.

    When its row has gone since, ``shown`` is what the first request was told.
    """

    run: Followed
    shown: dict[str, Any]
    after: int = 0
    """Where its creator's stream begins. One that comes back may name the last event that it has seen."""


def begin(spec: RunSpec, thread_id: UUID, *, is_request: bool = True) -> Begun:
    """Begin one run. *is_request*: it is what the request asks for, not one of many things said on its connection."""
    return begin_all([(spec, thread_id)], is_request=is_request)[0]


def begin_all(asked: Sequence[tuple[RunSpec, UUID]], *, is_request: bool = True) -> list[Begun]:
    """Begin several runs, all of them or none."""
    of_request = configurable_of(request.headers, backend().project.http.configurable_headers, g.request_id)
    wanted = [(replace(spec, request=of_request), thread_id) for spec, thread_id in asked]
    key = _idempotency_key() if is_request else None
    made = submit_once(backend(), principal(), wanted, key=key, note=lambda new: [present_run(run) for run in new])
    if isinstance(made, Repeat):
        _say_replayed()
        return [_begun_before(shown) for shown in made.noted]
    return [Begun(run, present_run(run)) for run in made]


def once(make: Callable[[Tx], Shown], again: Callable[[Tx, Shown], Shown]) -> Response:
    """Answer what *make* has created, or what the earlier request with this ``Idempotency-Key`` has.

    Both in one transaction. *again*: how what was told then is told now.
    """
    key, resources, caller = _idempotency_key(), backend(), principal()
    with resources.db.begin() as tx:
        if key is not None:
            noted = idempotency.take(tx, caller, key, keep_seconds=resources.rules.idempotency_seconds)
            if noted is not None:
                _say_replayed()
                return json(again(tx, noted))
        shown = make(tx)
        if key is not None:
            idempotency.note(tx, caller, key, shown)
    return json(shown)


def begun_before(again: Callable[[Tx, Shown], Shown]) -> Response | None:
    """What an earlier request with this ``Idempotency-Key`` has made, if any: before anything is built in vain."""
    key = _idempotency_key()
    if key is None:
        return None
    with backend().db.read() as tx:
        noted = idempotency.find(tx, principal(), key, keep_seconds=backend().rules.idempotency_seconds)
        if not noted:
            return None
        _say_replayed()
        return json(again(tx, noted))


def _idempotency_key() -> IdempotencyKey | None:
    """The key of this request, if it carries one. Which mount it came through makes no difference."""
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if not _VISIBLE.fullmatch(text):
        raise Invalid("Idempotency-Key: must be 1 to 255 visible ASCII characters")
    body = orjson.dumps(parsed(request.get_data()), option=orjson.OPT_SORT_KEYS)
    path = request.path.removeprefix(current_mount().prefix)
    return IdempotencyKey(text, fingerprint(request.method, path, body))


def _say_replayed() -> None:
    """Tell the client that its request has created nothing, as it was a repeat."""

    @after_this_request
    def tell(response: Response) -> Response:
        response.headers["Idempotent-Replayed"] = "true"
        return response


def _begun_before(shown: dict[str, Any]) -> Begun:
    after = sse.cursor(request) or 0
    run_id, thread_id = UUID(shown["run_id"]), UUID(shown["thread_id"])
    try:
        with backend().db.read() as tx:
            run = runs.get(tx, principal(), thread_id, run_id)
    except NotFound:
        return Begun(Ended(run_id, thread_id), shown, after)
    return Begun(run, present_run(run), after)
