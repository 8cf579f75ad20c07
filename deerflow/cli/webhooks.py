"""``flask webhooks``: what was told of ended runs, what was not, and telling it again."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import click
import orjson

from deerflow.cli import sentences
from deerflow.cli.database import reading, writing
from deerflow.domain.ids import parse_id
from deerflow.domain.presented import iso
from deerflow.domain.webhooks import Webhook
from deerflow.errors import ConfigError, Conflict, Invalid
from deerflow.hooks.signing import secret_in_force
from deerflow.settings import Settings
from deerflow.storage import webhooks
from deerflow.storage.database import Tx

_LIST_FORMAT = "{:36}  {:9}  {:>5}  {:20}  {:30}  {}"


@click.group("webhooks")
def group() -> None:
    """Look at webhooks, and send those again that were given up.

    \b
    Examples:
      flask --app app webhooks list --dead
      flask --app app webhooks show 01932c07-0000-7000-8000-000000000001
      flask --app app webhooks replay 01932c07-0000-7000-8000-000000000001
      flask --app app webhooks replay --all-dead
      flask --app app webhooks secret
    """  # noqa: D301 - click takes the backspace itself as the word to leave the examples as they are


@group.command("list")
@click.option("--dead", "state", flag_value="dead", help="Only those that were given up.")
@click.option("--pending", "state", flag_value="pending", help="Only those that are still to be delivered.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many at most.")
@sentences
def list_command(state: webhooks.State | None, limit: int) -> None:
    """List webhooks, newest first: id, state, tries, when it is or was due, receiver, last answer."""
    with reading() as tx:
        found = webhooks.page(tx, state=state, limit=limit)
    click.echo(_LIST_FORMAT.format("id", "state", "tries", "next or last", "receiver", "last answer"))
    for each in found:
        at = each.delivered_at or each.dead_at or each.due_at
        answer = each.last_error or each.last_status or ""
        click.echo(_LIST_FORMAT.format(str(each.webhook_id), each.state, each.tries, _short(at), each.receiver, answer))


@group.command("show")
@click.argument("webhook_id", metavar="ID")
@sentences
def show_command(webhook_id: str) -> None:
    """Show one webhook with its payload, as JSON."""
    with reading() as tx:
        webhook, payload = webhooks.get(tx, _id(webhook_id))
    click.echo(orjson.dumps(_shown(webhook) | {"payload": payload}, option=orjson.OPT_INDENT_2).decode())


@group.command("replay")
@click.argument("webhook_ids", metavar="[ID]...", nargs=-1)
@click.option("--all-dead", is_flag=True, help="All that were given up.")
@sentences
def replay_command(webhook_ids: tuple[str, ...], *, all_dead: bool) -> None:
    """Send webhooks again that were given up or delivered: with the same id, and with all their tries."""
    if bool(webhook_ids) == all_dead:
        raise click.UsageError("Name the webhooks by their ids, or say --all-dead.")
    with writing() as tx:
        count = webhooks.replay_dead(tx) if all_dead else sum(_replayed(tx, _id(each)) for each in webhook_ids)
    click.echo(f"{count} to be sent again by the clock.")


@group.command("secret")
@sentences
def secret_command() -> None:
    """Print the secret that receivers check signatures with."""
    secret = secret_in_force(Settings.from_env())
    if not secret:
        raise ConfigError("There is none, so webhooks are not signed. Set DEERFLOW_WEBHOOK_SECRET.")
    click.echo(secret)


def _replayed(tx: Tx, webhook_id: UUID) -> int:
    webhook, _ = webhooks.get(tx, webhook_id)
    if not webhooks.replay(tx, webhook_id):
        raise Conflict(f"Webhook {webhook_id} is still being tried, next at {_short(webhook.due_at)}")
    return 1


def _shown(webhook: Webhook) -> dict[str, Any]:
    return {**vars(webhook), "url": _without_credentials(webhook.url), "state": webhook.state}


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    _, at, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"***@{place}" if at else place))


def _id(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise Invalid(f"{text} is not the id of a webhook; list them with: flask --app app webhooks list")
    return found


def _short(at: datetime) -> str:
    return iso(at)[:19] + "Z"
