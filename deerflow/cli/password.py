"""Where a command gets a password from: standard input, or a person at a terminal; never from its arguments."""

import sys

import click

from deerflow.auth import passwords

from_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input: its first line."
)
"""The option of all commands that take one."""


def hashed(email: str, *, from_stdin: bool) -> str:
    """The hash of the password that is given for this account; Invalid when nobody should have it."""
    password = sys.stdin.readline().rstrip("\r\n") if from_stdin else _typed()
    passwords.check(password, email)
    return passwords.hash(password)


def is_at_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def _typed() -> str:
    if not is_at_terminal():
        raise click.UsageError("There is no terminal to ask for the password: say --password-stdin and pipe it in.")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True))
