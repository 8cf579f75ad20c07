"""Everybody's accounts and the audit on the wire, for administrators; and the end of a one-time link, for anybody."""

from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, Response, request

from deerflow.api.account import COUNTED, MODE, OWN_PAGE
from deerflow.api.context import backend, json, page_of
from deerflow.api.describe import describes
from deerflow.api.wire.body import page_wanted
from deerflow.api.wire.queries import AuditWanted, Page
from deerflow.api.wire.users import (
    AccountMade,
    AccountShown,
    EntryShown,
    PasswordReset,
    ResetToken,
    UserCreate,
    UserPatch,
    present_account,
    present_entry,
)
from deerflow.authz import public, requires
from deerflow.domain.since import since
from deerflow.identity import accounts, principal
from deerflow.identity.own_page import require_own_page
from deerflow.runtime import users as acts
from deerflow.runtime.users import By
from deerflow.storage import audit, users


def blueprint() -> Blueprint:
    """The routes of administration."""
    bp = Blueprint("users", __name__)
    bp.get("/users")(list_users)
    bp.post("/users")(create_user)
    bp.patch("/users/<id(user):user_id>")(change_user)
    bp.post("/users/<id(user):user_id>/reset-link")(make_reset_link)
    bp.post("/reset-password")(reset_password)
    bp.get("/audit")(list_audit)
    return bp


@describes(answer=list[AccountShown], query=Page)
@requires("users:read")
def list_users() -> Response:
    """A page of accounts, oldest first; headers say whether there are more."""
    limit, offset = page_wanted(request, default=100)
    with backend().db.read() as tx:
        found = users.page(tx, limit=limit + 1, offset=offset)
    return page_of(found, present_account, limit=limit, offset=offset)


@describes(body=UserCreate, answer=AccountMade, status=201, errors={409: "Somebody has this e-mail already."})
@requires("users:write")
def create_user() -> Response:
    """Make an account; `reset_token` in the answer is told this once and lets its owner set a password."""
    body, by = UserCreate.read(request), _by()
    with backend().db.begin() as tx:
        made = acts.create_user(tx, body.email, role=body.role, password=None, name=body.name or None, by=by)
        link = acts.reset_link(tx, made, by)
    return json({**present_account(made), "reset_token": accounts.signed(link)}, 201)


@describes(body=UserPatch, answer=AccountShown, errors={409: "It is the last administrator."})
@requires("users:write")
def change_user(user_id: UUID) -> Response:
    """Change somebody's role or name, or let them in no more, at once; the last administrator stays."""
    body, by = UserPatch.read(request), _by()
    with backend().db.begin() as tx:
        user = users.get(tx, user_id)
        if body.role is not None:
            user = acts.change_role(tx, user, body.role, by)
        if "name" in body.model_fields_set:
            user = users.change(tx, user_id, name=body.name or None)
        if body.disabled is not None:
            user = acts.disable_user(tx, user, by) if body.disabled else acts.enable_user(tx, user, by)
    return json(present_account(user))


@describes(answer=ResetToken, status=201)
@requires("users:write")
def make_reset_link(user_id: UUID) -> Response:
    """Make a token that sets somebody's password within a day, once; `reset_token` is told this once."""
    with backend().db.begin() as tx:
        link = acts.reset_link(tx, users.get(tx, user_id), _by())
    return json({"reset_token": accounts.signed(link)}, 201)


@describes(body=PasswordReset, status=204, errors=MODE | OWN_PAGE | COUNTED)
@public
def reset_password() -> Response:
    """Set the password of whom a one-time token is for; all sessions of the account end."""
    accounts.require_mode_accounts()
    require_own_page(request)
    body = PasswordReset.read(request)
    accounts.reset_password(body.token, body.password)
    return Response(status=204)


@describes(answer=list[EntryShown], query=AuditWanted, errors={404: "Nobody is called like that."})
@requires("audit:read")
def list_audit() -> Response:
    """What was done, newest first; `action` may be a beginning (`key.`), `since` a length (`7d`)."""
    limit, offset = page_wanted(request, default=100)
    said = {name: request.args.get(name) or None for name in ("action", "actor", "since")}
    begin = since(said["since"], datetime.now(UTC)) if said["since"] else None
    with backend().db.read() as tx:
        actor = acts.owner_of(tx, said["actor"])
        actions = (said["action"],) if said["action"] else None
        wanted = audit.Wanted(actions, actor, begin)
        found = audit.page(tx, wanted, limit=limit + 1, offset=offset)
    return page_of(found, present_entry, limit=limit, offset=offset)


def _by() -> By:
    return By(principal().user_id, request.remote_addr)
