"""Handlers of a project whose users are in teams: a team reads its threads, their owner changes them."""

import asyncio
from types import SimpleNamespace

from langgraph_sdk import Auth

auth = Auth()

USERS = {
    "ada": {"identity": "ada", "team": "red", "permissions": ["delete"], "token": "of-ada-alone"},
    "bob": {"identity": "bob", "team": "red"},
    "eve": {"identity": "eve", "team": "blue", "permissions": ["delete"]},
    "root": {"identity": "root", "team": "all"},
}


@auth.authenticate
async def authenticate(authorization: str | None, headers: dict[bytes, bytes]):
    assert headers.get(b"x-shape") != b"odd", "An odd shape"
    name = (authorization or "").removeprefix("Bearer ")
    if not name:
        raise Auth.exceptions.HTTPException(detail="Bring a token", headers={"WWW-Authenticate": "Bearer"})
    if name == "banned":
        raise Auth.exceptions.HTTPException(status_code=403, detail="You are banned")
    if name == "teapot":
        raise Auth.exceptions.HTTPException(status_code=418, detail="secret of the teapot")
    if name == "plain":
        return "ada"
    if name == "pair":
        return ["read"], {"identity": "ada"}
    if name == "typed":
        return SimpleNamespace(identity="ada", team="red")
    if name == "slow":
        await asyncio.sleep(60)
    if name == "nobody":
        return {"identity": ""}
    return USERS[name]


@auth.on
async def nothing_else(ctx, value):
    return False


@auth.on.assistants
async def anybody(ctx, value):
    return None


@auth.on.threads
async def the_team(ctx, value):
    if ctx.user.identity == "root":
        return {}
    return {"team": ctx.user.team}


@auth.on.threads.create
async def stamped(ctx, value):
    metadata = value["metadata"]
    assert "odd" not in metadata, "No odd threads"
    if metadata.get("taken"):
        raise Auth.exceptions.HTTPException(status_code=409, detail="Taken by the handler")
    metadata |= {"owner": ctx.user.identity, "team": ctx.user["team"]}


@auth.on.threads.create_run
async def may_run(ctx, value):
    value["metadata"] |= {"owner": ctx.user.identity, "team": ctx.user.team}
    if value["kwargs"].get("input") == {"refuse": True}:
        return False
    value["kwargs"].setdefault("config", {}).setdefault("tags", []).append("by-handler")
    return {"team": {"$eq": ctx.user.team}}


@auth.on.threads.update
async def the_owner(ctx, value):
    if value["metadata"].get("filter"):
        return {"owner": {"$ne": ctx.user.identity}}
    return {"owner": ctx.user.identity}


@auth.on.threads.delete
async def the_owner_with_permission(ctx, value):
    return {"owner": ctx.user.identity} if "delete" in ctx.permissions else False


@auth.on.crons
async def ones_own_crons(ctx, value):
    return {"owner": ctx.user.identity}


@auth.on.crons.create
async def stamped_cron(ctx, value):
    assert value["schedule"] != "* * * * *", "Not every minute"
    value["metadata"] |= {"owner": ctx.user.identity, "by": "cron-handler"}
    value["payload"].setdefault("config", {}).setdefault("tags", []).append("by-cron-handler")


@auth.on.store
async def in_the_teams_namespace(ctx, value):
    namespace: tuple[str, ...] = value["namespace"] or ()
    assert isinstance(namespace, tuple | str)
    if namespace == ("forbidden",):
        return False
    if isinstance(namespace, tuple):
        value["namespace"] = (ctx.user.team, *namespace)
    return {"owner": ctx.user.identity}


@auth.on.store.put
async def without_secrets(ctx, value):
    value["value"].pop("secret", None)
    return await in_the_teams_namespace(ctx, value)


@auth.on.store.delete
async def never(ctx, value):
    raise AssertionError("Nothing is deleted here")
