"""The command line: ``flask --app app <command>``, or ``python -m deerflow.cli <command>`` without an app."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from flask import Flask

from deerflow.errors import DeerflowError

P = ParamSpec("P")
R = TypeVar("R")


def sentences(act: Callable[P, R]) -> Callable[P, R]:
    """Show our errors as one sentence with exit code 1, instead of a stack."""

    @wraps(act)
    def shown(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return act(*args, **kwargs)
        except DeerflowError as error:
            raise click.ClickException(str(error)) from error

    return shown


def register(app: Flask) -> None:
    """Add our commands to an app."""
    from deerflow.cli import db, serve

    app.cli.add_command(db.group)
    app.cli.add_command(serve.command)
