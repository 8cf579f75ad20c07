"""Another user who knows the owner's ids gets exactly what ids get that nobody has (scenarios 40, 42).

The table below has at least one line for each route, and the test walks the URL map as it is: a route without a line
fails it, and so does a line without a route.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from deerflow.api.mounts import GATEWAY, MOUNTS, Mount
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.storage import threads
from tests.conftest import SilentBell
from tests.factories import make_thread
from tests.integration.identity.stranger import (
    CALLERS,
    WORD,
    Case,
    Things,
    a_stranger,
    ask,
    make_things,
    own,
    principal_for,
    same,
    signed_in,
    taken,
    unused,
    what_is_there,
)

MINE = {"word": WORD}
AT = {"thread_id": "{thread}", "checkpoint_ns": "", "checkpoint_id": "{checkpoint}"}
ELSEWHERE = {"configurable": {"thread_id": "{thread}", "checkpoint_id": "{checkpoint}", "run_id": "{run}"}}
OPEN = [same(200)]


def run(**fields: Any) -> dict[str, Any]:
    """The body of a run's creation."""
    return {"assistant_id": "steps", "input": {}, **fields}


def cron(**fields: Any) -> dict[str, Any]:
    """The body of a cron's creation."""
    return run(schedule="0 0 1 1 *", **fields)


def command(method: str, **params: Any) -> dict[str, Any]:
    """A command of the v2 protocol; what it refuses is told with status 200."""
    return {"id": 1, "method": method, "params": params}


OF_A_RUN = [Case(), own(None, status=404)]
"""A run of the owner's is no more there on a thread of one's own."""

OF_A_NEW_RUN = [
    Case(run(if_not_exists="reject")),
    taken(run(if_not_exists="create")),
    Case(run(assistant_id="{assistant}", if_not_exists="reject")),
    own(run(assistant_id="{assistant}"), status=404),
    own(run(metadata={"thread_id": "{thread}", "owner": "{user}", "assistant_id": "{assistant}"})),
    own(run(checkpoint=AT)),
    own(run(checkpoint_id="{checkpoint}")),
    own(run(config=ELSEWHERE)),
]
OF_A_STATELESS_RUN = [
    own(run(assistant_id="{assistant}"), status=404),
    own(run(config=ELSEWHERE)),
    own(run(checkpoint=AT)),
]

CASES: dict[str, list[Case]] = {
    "GET /": OPEN,
    "GET /ok": OPEN,
    "GET /info": OPEN,
    "GET /openapi.json": OPEN,
    "GET /docs": OPEN,
    "GET /live": OPEN,
    "GET /ready": [same(503)],
    "GET /metrics": [Case(status=200, unused=200)],  # its counts go on; test_metrics.py: it names no id
    "POST /console/account/sessions/{session}": [signed_in(404)],
    "POST /console/keys/{key}/revoke": [Case()],
    "GET /login": [same(302)],
    "GET /setup": [same(302)],
    "POST /threads": [taken({"thread_id": "{thread}"}), taken({"thread_id": "{thread}", "if_exists": "do_nothing"})],
    "GET /threads/{thread}": [Case(), Case(query="include=ttl")],
    "PATCH /threads/{thread}": [
        Case({"metadata": {"a": 1}}), Case({"ttl": 5}), Case({}, headers={"Prefer": "return=minimal"}),
    ],
    "DELETE /threads/{thread}": [Case()],
    "POST /threads/{thread}/copy": [same(409)],
    "POST /threads/prune": [
        same(200, {"thread_ids": ["{thread}"]}), same(200, {"thread_ids": ["{thread}"], "strategy": "keep_latest"}),
    ],
    "POST /threads/search": [
        same(200, {}), same(200, {"ids": ["{thread}"]}), same(200, {"metadata": MINE}), same(200, {"values": MINE}),
        same(200, {"metadata": {"owner": "{user}"}}),
        same(200, {"extract": {"a": "values.word"}}), same(200, {"status": "busy"}), same(200, {"offset": 1}),
    ],
    "POST /threads/count": [
        same(200, {}), same(200, {"ids": ["{thread}"]}), same(200, {"metadata": MINE}), same(200, {"values": MINE}),
    ],
    "GET /threads/{thread}/state": [Case(), Case(query="subgraphs=true")],
    "POST /threads/{thread}/state": [
        Case({"values": {"a": 1}}), Case({"values": None, "as_node": "a", "checkpoint": AT}),
        own({"values": {"a": 1}, "checkpoint": AT}, status=400),
    ],
    "POST /threads/{thread}/state/checkpoint": [Case({"checkpoint": AT}), own({"checkpoint": AT})],
    "GET /threads/{thread}/state/{checkpoint}": [Case(), own(None)],
    "GET /threads/{thread}/history": [
        Case(), Case(query="before={checkpoint}"), own(None, query="before={checkpoint}"),
    ],
    "POST /threads/{thread}/history": [Case({}), own({"before": ELSEWHERE}), own({"checkpoint": AT})],
    "POST /threads/{thread}/commands": [
        Case(command("run.start", **run()), status=200, unused=200),
        Case(command("run.start", **run(assistant_id="{assistant}")), status=200, unused=200),
        same(200, command("input.respond", interrupt_id="{run}", response=1)),
        own(command("run.start", **run(assistant_id="{assistant}"))),
        own(command("run.start", **run(config=ELSEWHERE))),
        own(command("run.start", **run(metadata={"thread_id": "{thread}", "owner": "{user}"}))),
        own(command("input.respond", interrupt_id="{run}", response=1, config=ELSEWHERE)),
    ],
    "GET /threads/{thread}/stream": [same(200), same(200, headers={"Last-Event-ID": "-"})],
    "GET /threads/{thread}/stream/events": [same(400)],
    "POST /threads/{thread}/stream/events": [
        same(200, {"channels": ["values"]}), same(200, {"channels": ["lifecycle"], "since": 1}),
    ],
    "POST /threads/{thread}/runs": OF_A_NEW_RUN,
    "POST /threads/{thread}/runs/stream": OF_A_NEW_RUN,
    "POST /threads/{thread}/runs/wait": OF_A_NEW_RUN,
    "GET /threads/{thread}/runs": [Case(), Case(query="status=pending"), Case(query="status=nonsense")],
    "GET /threads/{thread}/runs/{run}": [
        *OF_A_RUN, Case(headers={"If-None-Match": "*"}), Case(headers={"Prefer": "wait=1"}),
    ],
    "DELETE /threads/{thread}/runs/{run}": [*OF_A_RUN],
    "GET /threads/{thread}/runs/{run}/events": [*OF_A_RUN, Case(query="after=0&wait=1")],
    "POST /threads/{thread}/runs/{run}/cancel": [
        *OF_A_RUN, Case(query="action=rollback"), Case(query="wait=true"), Case(query="wait=true&action=rollback"),
    ],
    "GET /threads/{thread}/runs/{run}/join": [
        *OF_A_RUN, Case(headers={"Accept": "text/event-stream"}), Case(query="cancel_on_disconnect=true"),
    ],
    "GET /threads/{thread}/runs/{run}/stream": [
        *OF_A_RUN, Case(headers={"Last-Event-ID": "0"}), Case(query="action=interrupt&wait=true"),
        Case(query="cancel_on_disconnect=true"),
    ],
    "POST /threads/{thread}/runs/{run}/stream": [*OF_A_RUN, Case(query="action=rollback")],
    "POST /runs": OF_A_STATELESS_RUN,
    "POST /runs/stream": OF_A_STATELESS_RUN,
    "POST /runs/wait": OF_A_STATELESS_RUN,
    "POST /runs/batch": [own([run(), run(assistant_id="{assistant}")], status=404), own([run(config=ELSEWHERE)])],
    "POST /runs/cancel": [
        Case({"thread_id": "{thread}", "run_ids": ["{run}"]}), Case({"status": "all"}), Case({"status": "pending"}),
        Case({"status": "running"}, query="action=rollback"),
    ],
    "GET /runs/{run}/stream": [
        Case(), Case(headers={"Last-Event-ID": "0"}), Case(query="action=rollback"),
        Case(query="cancel_on_disconnect=true"),
    ],
    "POST /runs/crons": [
        own(cron(assistant_id="{assistant}"), status=404), own(cron(metadata={"owner": "{user}"}, config=ELSEWHERE)),
        own(cron(thread_id="{thread}", user_id="{user}", cron_id="{cron}")),
    ],
    "POST /threads/{thread}/runs/crons": [
        Case(cron()), own(cron(assistant_id="{assistant}"), status=404), own(cron(thread_id="{thread}")),
    ],
    "POST /runs/crons/search": [
        same(200, {}), same(200, {"thread_id": "{thread}"}), same(200, {"metadata": MINE}),
        same(200, {"enabled": True}), same(200, {"metadata": {"owner": "{user}"}}),
        same(200, {"sort_by": "next_run_date"}),
    ],
    "POST /runs/crons/count": [same(200, {}), same(200, {"thread_id": "{thread}"}), same(200, {"metadata": MINE})],
    "GET /runs/crons/{cron}": [Case()],
    "PATCH /runs/crons/{cron}": [Case({"enabled": False}), Case({"input": {"a": 1}})],
    "DELETE /runs/crons/{cron}": [Case()],
    "POST /assistants/search": [same(200, {}), same(200, {"name": WORD}), same(200, {"metadata": MINE})],
    "POST /assistants/count": [same(200, {}), same(200, {"name": WORD}), same(200, {"metadata": MINE})],
    "POST /assistants": [
        taken({"graph_id": "steps", "assistant_id": "{assistant}"}),
        taken({"graph_id": "steps", "assistant_id": "{assistant}", "if_exists": "do_nothing"}),
    ],
    "GET /assistants/{assistant}": [Case()],
    "PATCH /assistants/{assistant}": [Case({"name": "a"}), Case({})],
    "DELETE /assistants/{assistant}": [Case(), Case(query="delete_threads=true")],
    "POST /assistants/{assistant}/versions": [Case({}), Case({"metadata": MINE})],
    "POST /assistants/{assistant}/latest": [Case({"version": 1})],
    "GET /assistants/{assistant}/graph": [Case(), Case(query="xray=true")],
    "GET /assistants/{assistant}/schemas": [Case()],
    "GET /assistants/{assistant}/subgraphs": [Case(), Case(query="recurse=true")],
    "GET /assistants/{assistant}/subgraphs/{namespace}": [Case()],
    # No id of the store's is anybody else's; with a real store: test_store.py
    "PUT /store/items": [same(422, {"namespace": ["{user}"], "key": "k"})],
    "GET /store/items": [same(400, query="namespace={user}")],
    "DELETE /store/items": [same(422, {"namespace": ["{user}"]})],
    "POST /store/items/search": [same(422, {"namespace_prefix": "{user}"})],
    "POST /store/namespaces": [same(422, {"prefix": "{user}"})],
    "GET /console/approvals/{thread}": [Case()],
    "POST /console/approvals/{thread}": [Case()],
    "GET /console/approvals/{thread}/value": [Case(query="interrupt=1")],
    "GET /console/agents/{assistant}": [Case()],
    "GET /console/agents/{assistant}/edit": [Case()],
    "POST /console/agents/{assistant}/edit": [Case()],
    "POST /console/agents/{assistant}/version": [Case()],
    "POST /console/agents/{assistant}/delete": [Case()],
    "GET /api/v1/auth/csrf": OPEN,
    "POST /api/v1/auth/login": [same(401, {"email": "{email}", "password": WORD})],
    "POST /api/v1/auth/register": [same(403, {"email": "{email}", "password": WORD})],
    "POST /api/v1/auth/reset-password": [same(403, {"token": "{user}", "password": WORD})],
    "GET /api/v1/auth/setup-status": OPEN,
    "POST /api/v1/auth/initialize": [same(409, {"token": "{user}", "email": "{email}", "password": WORD})],
    "POST /api/v1/auth/logout": [signed_in(204)],
    "GET /api/v1/auth/me": [same(200)],
    "PATCH /api/v1/auth/me": [signed_in(200, {"name": "a", "user_id": "{user}"})],
    "POST /api/v1/auth/change-password": [signed_in(403, {"password": WORD, "new_password": f"{WORD}!"})],
    "POST /api/v1/auth/change-email": [signed_in(403, {"password": WORD, "email": "{email}"})],
    "GET /api/v1/auth/sessions": [signed_in(200)],
    "DELETE /api/v1/auth/sessions": [signed_in(200)],
    "DELETE /api/v1/auth/sessions/{session}": [signed_in(404)],
    "GET /api/v1/auth/keys": [same(200)],
    "POST /api/v1/auth/keys": [same(201, {"name": "a", "user_id": "{user}"})],
    "DELETE /api/v1/auth/keys/{key}": [Case()],
    "GET /api/v1/auth/users": [same(403)],
    "POST /api/v1/auth/users": [same(403, {"email": "{email}"})],
    "PATCH /api/v1/auth/users/{user}": [same(403, {"disabled": True})],
    "POST /api/v1/auth/users/{user}/reset-link": [same(403)],
    "GET /console/threads/{thread}": [Case(), Case(query="checkpoint={checkpoint}")],
    "GET /api/v1/auth/audit": [same(403), same(403, query="actor={user}")],
    "GET /console/users/{user}": [same(403)],
    **{f"POST /console/users/{{user}}/{act}": [same(403)] for act in ("role", "disable", "enable", "sign-out", "link")},
    "POST /console/threads/{thread}/rename": [Case()],
    "POST /console/threads/{thread}/copy": [Case()],
    "POST /console/threads/{thread}/delete": [Case()],
    "GET /console/threads/{thread}/export.json": [Case()],
    "GET /console/threads/{thread}/export.md": [Case()],
    "GET /console/runs/{run}": [Case(), Case(query="before=1")],
    "POST /console/runs/{run}/stop": [Case()],
    "POST /console/runs/{run}/again": [Case()],
}  # fmt: skip

ARGUMENTS = {name: name.removesuffix("_id") for name in (
    "thread_id", "run_id", "checkpoint_id", "assistant_id", "cron_id", "key_id", "session_id",
    "user_id", "namespace",
)}  # fmt: skip


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Method, name in the table, and mount's prefix of every route."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/console") and "<id" not in rule.rule:  # a page without an id
            continue
        prefix = GATEWAY.prefix if re.match(f"{GATEWAY.prefix}/(?!v1/auth/)", rule.rule) else ""
        path = rule.rule.removeprefix(prefix)
        for name in rule.arguments:
            converted = next(part for part in path.split("/") if part.endswith(f":{name}>"))
            path = path.replace(converted, f"{{{ARGUMENTS[name]}}}")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, f"{method} {path}", prefix


def test_every_route_has_a_case(accounts_app: Flask) -> None:
    """scenario 41: and every case a route."""
    assert {name for _, name, _ in routes(accounts_app)} == set(CASES)


def names_a_run(name: str, case: Case) -> bool:
    """Whether it matters in which state the run is."""
    return "{run}" in f"{name} {case.json}"


def path_of(name: str, prefix: str, things: Things) -> str:
    path = prefix + name.partition(" ")[2]
    for thing, value in things.items():
        path = path.replace(f"{{{thing}}}", str(value))
    return path


def answers(
    app: Flask, backend: Backend, case: Case, foreign: Things, *, how: str, name: str, prefix: str
) -> list[Any]:
    """What two strangers are answered: one knows the owner's ids, the other has ids that nobody has."""
    told = []
    for things in (foreign, unused(foreign)):
        user, client = a_stranger(app, backend, how)
        own_things = {"thread": make_thread(backend, principal_for(user), graph_id=None).thread_id} if case.own else {}
        path = path_of(name, prefix, things | own_things)
        told.append(ask(client, name.partition(" ")[0], path, case, things))
    return told


def mistakes(case: Case, how: str, with_foreign: Any, with_unused: Any) -> str | None:
    """What is wrong with a pair of answers."""
    status = case.by_session if how == "session" and case.by_session else case.status
    if with_foreign[0] != status:
        return f"{with_foreign} instead of {status}"
    if WORD in str(with_foreign):
        return f"tells what only the owner knows: {with_foreign}"
    if case.unused is not None:
        return None if with_unused[0] == case.unused else f"unused: {with_unused} instead of {case.unused}"
    return None if with_foreign == with_unused else f"{with_foreign} is not {with_unused}"


@pytest.mark.parametrize("how", CALLERS)
@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.name)
def test_a_foreign_id_is_as_good_as_none(
    accounts_app: Flask, backend: Backend, owner: User, mount: Mount, how: str
) -> None:
    """scenarios 40 and 42: status, headers and body; and what the owner has is afterwards what it was."""
    everything = make_things(backend, owner)
    before = what_is_there(backend, owner)
    wrong = [
        f"{name} {case.json} {case.query}: {found}"
        for _, name, prefix in routes(accounts_app)
        if prefix == mount.prefix
        for case in CASES.get(name, [])
        for things in (everything if names_a_run(name, case) else everything[:1])
        if (
            found := mistakes(
                case, how, *answers(accounts_app, backend, case, things, how=how, name=name, prefix=prefix)
            )
        )
    ]
    assert wrong == []
    assert what_is_there(backend, owner) == before


def test_a_deleted_thread_is_told_as_one_that_is_there(accounts_app: Flask, backend: Backend, owner: User) -> None:
    """Until its checkpoints are removed its id is taken; that it was deleted is nobody else's business."""
    told = []
    for _ in range(2):
        thread_id = make_thread(backend, principal_for(owner)).thread_id
        _, client = a_stranger(accounts_app, backend, "key")
        told.append(ask(client, "POST", "/threads", taken({"thread_id": "{thread}"}), {"thread": thread_id}))
        with backend.db.begin() as tx:
            threads.delete(tx, principal_for(owner), thread_id)
        told.append(ask(client, "POST", "/threads", taken({"thread_id": "{thread}"}), {"thread": thread_id}))
    assert told == told[:1] * 4
    assert told[0][0] == 409


def test_the_owner_is_answered_something_else(accounts_app: Flask, backend: Backend, bell: SilentBell) -> None:
    """So the cases above ask for what is there. No state worker is waited for."""
    bell.broken = True
    for _, name, prefix in routes(accounts_app):
        for case in (case for case in CASES[name] if case.status == 404 and not case.own):
            user, client = a_stranger(accounts_app, backend, "key")
            method = name.partition(" ")[0]
            told = (
                ask(client, method, path_of(name, prefix, things), case, things)[0]
                for things in make_things(backend, user)
            )
            assert any(status != 404 for status in told), (name, case)
