"""``flask users``: who may sign in."""

import click
import orjson

from deerflow import project
from deerflow.auth import links
from deerflow.auth.secret import secrets_in_force
from deerflow.cli import sentences
from deerflow.cli.database import reading, writing
from deerflow.cli.password import from_stdin, hashed
from deerflow.domain.accounts import User, canonical_email
from deerflow.domain.presented import iso
from deerflow.domain.principal import Role
from deerflow.errors import ConfigError, Conflict
from deerflow.runtime import users as acts
from deerflow.runtime.users import By
from deerflow.settings import Settings
from deerflow.storage import users

_LIST_FORMAT = "{:36}  {:6}  {:9}  {:20}  {}"
_MOST = 100_000
_BY_COMMAND = By()


@click.group("users")
def group() -> None:
    """Make accounts, look at them, and say who may sign in.

    \b
    Examples:
      flask --app app users create ada@example.com
      echo "$PASSWORD" | flask --app app users create ada@example.com --admin --password-stdin
      flask --app app users setup-link
      flask --app app users list
      flask --app app users reset-password ada@example.com
      flask --app app users disable ada@example.com
      flask --app app users promote ada@example.com
    """  # noqa: D301 - click takes the backspace itself as the word to leave the examples as they are


@group.command("create")
@click.argument("email")
@click.option("--admin", is_flag=True, help="An administrator.")
@click.option("--name", help="How the account is shown.")
@from_stdin
@sentences
def create_command(email: str, name: str | None, *, admin: bool, password_stdin: bool) -> None:
    """Make an account; the password is asked for, or read from standard input. The first one has to be --admin."""
    if Settings.from_env().auth == "none":
        raise ConfigError(
            "Accounts are switched off (DEERFLOW_AUTH=none); switch them on, then create the administrator"
        )
    canonical = canonical_email(email)
    password = hashed(canonical, from_stdin=password_stdin)
    with writing() as tx:
        role = Role.ADMIN if admin else Role.USER
        made = acts.create_by_command(tx, canonical, role=role, password=password, name=name)
    click.echo(f"{made.email} may sign in now; role {made.role}.")


@group.command("setup-link")
@sentences
def setup_link_command() -> None:
    """Print the one-time link that makes the first administrator; the one in the server's log is as good."""
    settings = Settings.from_env()
    if settings.auth != "accounts":
        raise ConfigError(
            f"Set-up is for DEERFLOW_AUTH=accounts, and this is {settings.auth}: the link would be refused"
        )
    secrets = secrets_in_force(settings)
    with writing() as tx:
        waiting = users.open_set_up(tx)
    if waiting is None:
        raise Conflict("Set-up is finished already: sign in, or see flask --app app users reset-password --help")
    click.echo(f"{_url(settings)}{links.set_up_path(secrets, waiting)}")
    click.echo("If the server is reached at another address, keep what follows it.", err=True)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@sentences
def list_command(*, as_json: bool) -> None:
    """List accounts, oldest first: id, role, state, since when, e-mail."""
    with reading() as tx:
        found = users.page(tx, limit=_MOST)
    if as_json:
        click.echo(orjson.dumps([_shown(user) for user in found], option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(_LIST_FORMAT.format("id", "role", "state", "since", "e-mail"))
    for user in found:
        since = iso(user.created_at)[:19] + "Z"
        click.echo(_LIST_FORMAT.format(user.owner, user.role, _state(user), since, user.email or ""))


@group.command("reset-password")
@click.argument("email")
@from_stdin
@sentences
def reset_password_command(email: str, *, password_stdin: bool) -> None:
    """Print a one-time link to set another password, good for a day; or set the one of standard input at once."""
    if password_stdin:
        password = hashed(canonical_email(email), from_stdin=True)
        with writing() as tx:
            acts.reset_password(tx, acts.find_user(tx, email), password, _BY_COMMAND)
        click.echo(f"{email} has another password; all sessions of the account have ended.")
        return
    settings = Settings.from_env()
    secrets = secrets_in_force(settings)
    with writing() as tx:
        link = acts.reset_link(tx, acts.find_user(tx, email), _BY_COMMAND)
    click.echo(f"{_url(settings)}{links.reset_path(secrets, link)}")
    click.echo(_HOW_TO_RESET, err=True)


_HOW_TO_RESET = """\
Give this to nobody but the account's owner: within a day, and once, it sets the password. If the server is reached at
another address, keep what follows it."""


@group.command("disable")
@click.argument("email")
@sentences
def disable_command(email: str) -> None:
    """Let an account sign in no more; its sessions and API keys open nothing at once. It keeps its things."""
    with writing() as tx:
        acts.disable_user(tx, acts.find_user(tx, email), _BY_COMMAND)
    click.echo(f"{email} may not sign in any more.")


@group.command("enable")
@click.argument("email")
@sentences
def enable_command(email: str) -> None:
    """Let a disabled account sign in again; its API keys are good again."""
    with writing() as tx:
        acts.enable_user(tx, acts.find_user(tx, email), _BY_COMMAND)
    click.echo(f"{email} may sign in again.")


@group.command("promote")
@click.argument("email")
@sentences
def promote_command(email: str) -> None:
    """Make an account an administrator."""
    _give_role(email, Role.ADMIN)


@group.command("demote")
@click.argument("email")
@sentences
def demote_command(email: str) -> None:
    """Make an administrator a user; the last one stays."""
    _give_role(email, Role.USER)


def _url(settings: Settings) -> str:
    """Where the server is, as far as this machine knows."""
    return f"http://{settings.address}{project.load(settings.project_file).http.mount_prefix}"


def _give_role(email: str, role: Role) -> None:
    with writing() as tx:
        acts.change_role(tx, acts.find_user(tx, email), role, _BY_COMMAND)
    click.echo(f"{email} has the role {role}.")


def _state(user: User) -> str:
    if user.needs_setup:
        return "to set up"
    return "active" if user.disabled_at is None else "disabled"


def _shown(user: User) -> dict[str, object]:
    """An account for programs; never its password's hash."""
    names = ("user_id", "email", "name", "role", "created_at", "disabled_at")
    return {name: getattr(user, name) for name in names} | {"state": _state(user)}
