"""The first page: who is signed in, and how to go on."""

from flask import Blueprint, Response, make_response, render_template

from deerflow.authz import requires
from deerflow.identity import principal
from deerflow.web.examples import examples


def add_to(console: Blueprint) -> None:
    """Add the page's route."""
    console.get("/", endpoint="home")(home)


@requires("account:read")
def home() -> Response:
    """Greet, and say how to go on."""
    facts = {"offers_key": principal().may("keys:write"), "examples": examples()}
    return make_response(render_template("console/home.html", **facts))
