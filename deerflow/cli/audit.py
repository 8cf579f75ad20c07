"""``flask audit``: what was done to accounts and to what they protect."""

from datetime import UTC, datetime

import click
import orjson

from deerflow.cli import sentences
from deerflow.cli.database import reading
from deerflow.domain.presented import iso
from deerflow.domain.since import since as since_when
from deerflow.runtime.users import owner_of
from deerflow.storage import audit, users
from deerflow.storage.database import Tx

_LIST_FORMAT = "{:20}  {:15}  {:30}  {:30}  {:15}  {}"
_MOST_USERS = 100_000


@click.command("audit")
@click.option("--action", help="What was done, or how it begins: key.create, key.")
@click.option("--actor", metavar="EMAIL|ID", help="Who did it.")
@click.option("--since", help="From when on: 24h, 7d, 2026-11-25.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@sentences
def command(action: str | None, actor: str | None, since: str | None, limit: int, *, as_json: bool) -> None:
    """Show what was done, newest first: sign-ins, failures, keys, roles, resets, deletions.

    \b
    Examples:
      flask --app app audit --since 24h
      flask --app app audit --action session.fail --limit 200
      flask --app app audit --actor ada@example.com --json
    """  # noqa: D301 - click takes the backspace itself as the word to leave the examples as they are
    begin = None if since is None else since_when(since, datetime.now(UTC))
    with reading() as tx:
        wanted = audit.Wanted((action,) if action else None, owner_of(tx, actor), begin)
        found = audit.page(tx, wanted, limit=limit)
        names = _names(tx)
    if as_json:
        click.echo(orjson.dumps([vars(entry) for entry in found], option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(_LIST_FORMAT.format("at", "action", "by", "to", "from", "detail"))
    for each in found:
        by, to = (names.get(who or "", who or "-") for who in (each.actor, each.subject))
        detail = orjson.dumps(each.detail).decode() if each.detail else ""
        click.echo(_LIST_FORMAT.format(iso(each.at)[:19] + "Z", each.action, by, to, each.address or "-", detail))


def _names(tx: Tx) -> dict[str, str]:
    """E-mails by owner: people know each other by those."""
    return {user.owner: user.email for user in users.page(tx, limit=_MOST_USERS) if user.email}
