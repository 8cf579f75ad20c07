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
            raise click.ClickException(with_cause(error)) from error

    return shown


def with_cause(error: BaseException) -> str:
    """An error's sentence with what lies below it, which a person at a terminal needs and an API caller does not."""
    root = error
    while root.__cause__ is not None:
        root = root.__cause__
    said = (root.strerror if isinstance(root, OSError) else None) or str(root).strip() or type(root).__name__
    reason = said.splitlines()[0]
    return str(error) if root is error or reason in str(error) else f"{str(error).rstrip('.')}: {reason}"


def commands() -> list[click.Command]:
    """All our commands; imported here, as they import this module."""
    from deerflow.cli import audit, db, doctor, keys, serve, sessions, users, webhooks

    accounts = [users.group, keys.group, sessions.group, audit.command]
    return [db.group, doctor.command, serve.command, *accounts, webhooks.group]


def register(app: Flask) -> None:
    """Add our commands to an app."""
    for command in commands():
        app.cli.add_command(command)
