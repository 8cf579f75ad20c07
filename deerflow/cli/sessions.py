"""``flask sessions``: where an account is signed in."""

import click

from deerflow.cli import sentences
from deerflow.cli.database import reading, writing
from deerflow.domain.presented import iso
from deerflow.runtime.users import By, end_sessions, find_user
from deerflow.storage import sessions

_LIST_FORMAT = "{:20}  {:20}  {:39}  {}"


@click.group("sessions")
def group() -> None:
    """Look at where an account is signed in, and sign it out.

    \b
    Examples:
      flask --app app sessions list ada@example.com
      flask --app app sessions end ada@example.com
    """  # noqa: D301 - click takes the backspace itself as the word to leave the examples as they are


@group.command("list")
@click.argument("email")
@sentences
def list_command(email: str) -> None:
    """List an account's sessions, last seen first: last seen, since when, address, browser."""
    with reading() as tx:
        found = sessions.of_user(tx, find_user(tx, email).user_id)
    click.echo(_LIST_FORMAT.format("last seen", "since", "address", "browser"))
    for each in found:
        seen, since = (iso(at)[:19] + "Z" for at in (each.last_seen_at, each.created_at))
        click.echo(_LIST_FORMAT.format(seen, since, each.address, each.browser))


@group.command("end")
@click.argument("email")
@sentences
def end_command(email: str) -> None:
    """Sign an account out everywhere, at once; its API keys stay good."""
    with writing() as tx:
        end_sessions(tx, find_user(tx, email), By())
    click.echo(f"{email} is signed out everywhere.")
