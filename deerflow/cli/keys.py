"""``flask keys``: API keys of any account."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click
import orjson

from deerflow.cli import sentences
from deerflow.cli.database import reading, writing
from deerflow.domain.accounts import ApiKey, User
from deerflow.domain.ids import parse_id
from deerflow.domain.presented import iso
from deerflow.domain.principal import Scope
from deerflow.errors import Conflict, NotFound
from deerflow.runtime.keys import make_key, revoke_key
from deerflow.runtime.users import find_user
from deerflow.storage import keys
from deerflow.storage.database import Tx

_LIST_FORMAT = "{:36}  {:11}  {:5}  {:8}  {:20}  {:30}  {}"
_MOST = 100_000
_LONGEST_DAYS = 36_500
_SCOPES = click.Choice([each.value for each in Scope])


@click.group("keys")
def group() -> None:
    """Make API keys, look at them, and revoke them.

    \b
    Examples:
      KEY=$(flask --app app keys create ada@example.com --name laptop)
      flask --app app keys create ada@example.com --name dashboards --scope read --expires-days 30
      flask --app app keys list ada@example.com
      flask --app app keys revoke df_1a2b3c4d
    """  # noqa: D301 - click takes the backspace itself as the word to leave the examples as they are


@group.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What it is for, as lists show it.")
@click.option("--scope", type=_SCOPES, default=Scope.RUN.value, show_default=True, help="What it may do.")
@click.option("--expires-days", type=click.IntRange(1, _LONGEST_DAYS), help="After how many days it opens nothing.")
@sentences
def create_command(email: str, name: str, scope: str, expires_days: int | None) -> None:
    """Make an API key and print it, alone, on standard output: it is shown this once."""
    expires_at = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    with writing() as tx:
        user = find_user(tx, email)
        made, key = make_key(tx, user.user_id, name=name, scope=Scope(scope), expires_at=expires_at, actor=None)
    click.echo(f"API key {made.prefix}… of {user.email}, scope {made.scope}; it is shown only now.", err=True)
    click.echo(key)


@group.command("list")
@click.argument("email", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@sentences
def list_command(email: str | None, *, as_json: bool) -> None:
    """List API keys, newest first, of one account or of all: id, beginning, scope, state, since when, whose, name."""
    with reading() as tx:
        user_id = None if email is None else find_user(tx, email).user_id
        found = keys.page(tx, user_id=user_id, limit=_MOST)
    now = datetime.now(UTC)
    if as_json:
        click.echo(orjson.dumps([_shown(*each, now) for each in found], option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(_LIST_FORMAT.format("id", "beginning", "scope", "state", "since", "whose", "name"))
    for key, user in found:
        since, whose = iso(key.created_at)[:19] + "Z", user.email or ""
        click.echo(_LIST_FORMAT.format(str(key.key_id), key.prefix, key.scope, key.state(now), since, whose, key.name))


@group.command("revoke")
@click.argument("which", metavar="ID|BEGINNING")
@sentences
def revoke_command(which: str) -> None:
    """Revoke an API key, named by its id or its beginning as lists show it; it opens nothing from now on."""
    with writing() as tx:
        key, user = _found(tx, which)
        revoke_key(tx, user.user_id, key.key_id, actor=None)
    click.echo(f"API key {key.prefix}… of {user.email} is revoked.")


def _found(tx: Tx, which: str) -> tuple[ApiKey, User]:
    key_id = parse_id(which)
    wanted: dict[str, Any] = {"prefix": which} if key_id is None else {"key_id": key_id}
    found = keys.page(tx, limit=_MOST, **wanted)
    if not found:
        raise NotFound(f"There is no API key {which}; list them with: flask --app app keys list")
    if len(found) > 1:
        raise Conflict(f"{len(found)} API keys begin with {which}; name the one by its id")
    return found[0]


def _shown(key: ApiKey, user: User, now: datetime) -> dict[str, object]:
    return {**vars(key), "email": user.email, "state": key.state(now)}
