"""Set-up on the wire: whether it is needed, and finishing it with the one-time link."""

from flask import Blueprint, Response, request

from deerflow.api.account import COUNTED, MODE, OWN_PAGE, signed_in
from deerflow.api.context import json
from deerflow.api.describe import describes
from deerflow.api.wire.account import Initialization, Me, SetUpStatus
from deerflow.authz import public
from deerflow.identity import accounts, set_up
from deerflow.identity.own_page import require_own_page


def blueprint() -> Blueprint:
    """The routes of set-up."""
    bp = Blueprint("setup", __name__)
    bp.get("/setup-status")(setup_status)
    bp.post("/initialize")(initialize)
    return bp


@describes(answer=SetUpStatus)
@public
def setup_status() -> Response:
    """Whether there is still no administrator: `needed`, `not_needed`, or `unknown` while the database is away."""
    return json({"status": set_up.status()})


@describes(
    body=Initialization, answer=Me, status=201, errors=MODE | OWN_PAGE | COUNTED | {409: "Set-up is finished already."}
)
@public
def initialize() -> Response:
    """Become the administrator with the one-time link's token, and sign in."""
    accounts.require_mode_accounts()
    require_own_page(request)
    body = Initialization.read(request)
    user = set_up.finish(body.token, body.email, body.password, name=body.name or None, language=body.language)
    return signed_in(user, status=201)
