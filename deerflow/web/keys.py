"""API keys: which there are, a new one (told once) and how to use it, and an end to one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import lazy_gettext as _

from deerflow.authz import requires
from deerflow.domain.accounts import ApiKey
from deerflow.domain.principal import Principal, Scope
from deerflow.errors import Conflict, DeerflowError, Invalid, NotFound, RateLimited
from deerflow.identity import opened, principal
from deerflow.runtime.keys import WantedKey, make_own_key, revoke_key
from deerflow.storage import keys
from deerflow.storage.database import Tx
from deerflow.web import forms
from deerflow.web.errors import for_now
from deerflow.web.examples import examples
from deerflow.web.pager import address, pager
from deerflow.web.places import lead
from deerflow.web.told import told

_REVOKED = _("The key is revoked: it opens nothing any more.")
RIGHTS = {Scope.READ: _("Look"), Scope.RUN: _("Use agents"), Scope.ADMIN: _("Everything")}
_EXPLAINED = {
    Scope.READ: _("Reads threads, runs, agents and their results; changes nothing."),
    Scope.RUN: _("Also starts, answers and stops runs, and keeps threads, agents and memories. Right for programs."),
    Scope.ADMIN: _("Also makes and revokes your API keys."),
}
_OF_ADMINISTRATORS = _("Also makes and revokes your API keys, looks after all users and reads the audit.")


def add_to(console: Blueprint) -> None:
    """Add the pages' routes."""
    console.get("/keys", endpoint="keys")(list_keys)
    console.get("/keys/new", endpoint="keys_new")(new_key)
    console.post("/keys/new", endpoint="keys_make")(make_key)
    console.post("/keys/<id(key):key_id>/revoke", endpoint="keys_revoke")(revoke)


@requires("keys:read")
def list_keys() -> Response:
    """One's own keys, or everybody's for who looks after them."""
    caller = principal()
    is_of_all = request.args.get("of") == "all" and caller.may("users:read")
    whose = None if is_of_all else UUID(caller.user_id)
    with opened.backend().db.read() as tx:
        part = pager(keys.count(tx, whose))
        found = keys.page(tx, user_id=whose, limit=part.size, offset=part.offset)
    facts = {
        "keys": found, "now": datetime.now(UTC), "pages": part, "is_of_all": is_of_all, "address": address,
        "names": RIGHTS, "done": _REVOKED if request.args.get("done") == "revoked" else None,
    }  # fmt: skip
    return make_response(render_template("console/keys.html", **facts, examples=examples()))


@requires("keys:write")
def new_key() -> Response:
    """Ask which key is wanted."""
    return _form(forms.NewKey(formdata=None, after=_newest()))


@requires("keys:write")
def make_key() -> Response:
    """Make it, and show it this once. The same form sent again makes no second one."""
    form, caller = forms.NewKey(), principal()
    if not form.validate_on_submit():
        return _form(form, told=forms.wrong_token(form))
    if form.after.data != _newest():
        return lead("/console/keys")
    try:
        made, key = make_own_key(opened.backend(), caller, _wanted(form), address=request.remote_addr)
    except (Invalid, Conflict, RateLimited) as error:
        return _refused(form, error)
    facts = {"made": made, "key": key, "names": RIGHTS}
    return make_response(render_template("console/key_made.html", **facts, examples=examples(key)))


@requires("keys:write")
def revoke(key_id: UUID) -> Response:
    """Let a key open nothing any more: one's own, or anybody's for who may change users."""
    caller, by = principal(), {"actor": principal().user_id, "address": request.remote_addr}
    with opened.backend().db.begin() as tx:
        revoke_key(tx, _holder(tx, caller, key_id), key_id, **by)
    return lead(
        "/console/keys?of=all&done=revoked" if request.form.get("of") == "all" else "/console/keys?done=revoked"
    )


def _holder(tx: Tx, caller: Principal, key_id: UUID) -> UUID:
    """Whose key this is, as far as it is the caller's to revoke; NotFound when it is not."""
    if not caller.may("users:write"):
        return UUID(caller.user_id)
    for key, _user in keys.page(tx, key_id=key_id, limit=1):
        return key.user_id
    raise NotFound(f"API key with ID {key_id} not found")


def _newest() -> str:
    """The caller's newest key, which is another one as soon as one was made."""
    with opened.backend().db.read() as tx:
        found: list[ApiKey] = keys.of_user(tx, UUID(principal().user_id), limit=1)
    return str(found[0].key_id) if found else ""


def _wanted(form: forms.NewKey) -> WantedKey:
    days = form.days.data
    expires_at = datetime.now(UTC) + timedelta(days=int(days)) if days else None
    return WantedKey(form.name.data or "", Scope(form.scope.data), expires_at)


def _refused(form: forms.NewKey, error: DeerflowError) -> Response:
    page = _form(form, told=told(error))
    return for_now(page, error) if isinstance(error, RateLimited) else page


def _form(form: forms.NewKey, **facts: object) -> Response:
    rights = _EXPLAINED | ({Scope.ADMIN: _OF_ADMINISTRATORS} if principal().may("users:write") else {})
    page = render_template("console/key_new.html", form=form, rights=rights, names=RIGHTS, **facts)
    return make_response(page)
