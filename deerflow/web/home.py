"""The first page, which is the list of threads."""

from flask import Blueprint, Response

from deerflow.authz import requires
from deerflow.web.places import lead


def add_to(console: Blueprint) -> None:
    """Add its route."""
    console.get("/", endpoint="home")(home)


@requires("account:read")
def home() -> Response:
    """Lead on."""
    return lead("/console/threads")
