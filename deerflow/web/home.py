"""The first page, which is the list of threads."""

from flask import Blueprint, Response

from deerflow.authz import requires
from deerflow.web.places import lead


def add_to(console: Blueprint) -> None:
    """Add its route."""
    console.get("/", endpoint="home")(home)


@requires("threads:read", on=("threads", "search"))
def home() -> Response:
    """Lead on."""
    return lead("/console/threads")
