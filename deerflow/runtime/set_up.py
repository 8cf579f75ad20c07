"""Set-up: how a new installation gets its first administrator, once, whoever and however many try.

1. Every start opens it: one conditional INSERT of a row that nobody can sign in to.
2. Who holds the one-time link, or the environment, gives that row an e-mail and a password: one conditional UPDATE.
3. In the same transaction all that the principal ``local`` has made becomes theirs; the clock hands over the rest.
"""

from deerflow.auth import passwords
from deerflow.auth.keys import digest, prefix
from deerflow.backend import Backend
from deerflow.domain.accounts import User, canonical_email
from deerflow.domain.principal import LOCAL, Scope
from deerflow.errors import ConfigError, Conflict, Invalid
from deerflow.storage import adoptions, audit, keys, users
from deerflow.storage.database import Tx

_TAKEN = "name another, or make that one the administrator: flask --app app users promote"


def open_set_up(backend: Backend) -> User | None:
    """Make sure that there is an administrator, or one to be set up: the latter, None when nothing is to be done."""
    with backend.db.begin() as tx:
        return users.open_set_up(tx)


def is_open(backend: Backend) -> bool:
    """Whether there is no administrator yet who could sign in."""
    with backend.db.read() as tx:
        return users.needs_set_up(tx)


def finish_set_up(
    tx: Tx,
    email: str,
    *,
    password: str,
    version: int,
    name: str | None = None,
    language: str | None = None,
    address: str | None = None,
) -> User:
    """Make the first administrator who they are; Conflict for all but the first who try.

    *email* is canonical, *password* a hash, *version* the ``token_version`` of the row that is to be set up. Who
    commits may ring ``sweep`` afterwards; the clock hands over the rest in any case.
    """
    user = users.finish_set_up(tx, email, password=password, version=version, name=name, language=language)
    if user is None:
        raise Conflict("Set-up is finished already: sign in")
    audit.note(tx, "setup.finish", actor=user.owner, subject=user.owner, address=address, email=email)
    adoptions.begin(tx, LOCAL, user.owner)
    return user


def first_boot(backend: Backend, *, admin_email: str, admin_password: str) -> User | None:
    """Open set-up, and finish it when the settings say with what; whose set-up is still open, None when nobody's is.

    ConfigError when they say something that cannot be.
    """
    waiting = open_set_up(backend)
    if waiting is None or not (admin_email or admin_password):
        return waiting
    email = _believed(admin_email, admin_password)
    hashed = passwords.hash(admin_password)
    try:
        with backend.db.begin() as tx:
            finish_set_up(tx, email, password=hashed, version=waiting.token_version)
        backend.bell.sweep()
    except Conflict as error:
        if open_set_up(backend) is not None:  # so it was not another process that starts now and was faster
            raise ConfigError(f"The administrator of DEERFLOW_ADMIN_EMAIL cannot be made: {error}; {_TAKEN}") from error
    return None


def keep_key(backend: Backend, email: str, key: str) -> bool:
    """Let this API key be one for all that administrators do, of the one with this e-mail; False when nobody has it.

    Harmless once more, also when the key was revoked meanwhile.
    """
    with backend.db.begin() as tx:
        user = users.find_by_email(tx, canonical_email(email))
        if user is None:
            return False
        if not keys.is_known(tx, digest(key)):
            facts = {"name": "api-key of the data folder", "prefix": prefix(key), "digest": digest(key)}
            made = keys.create(tx, user.user_id, scope=Scope.ADMIN, expires_at=None, **facts)
            told = {"name": made.name, "scope": made.scope, "prefix": made.prefix}
            audit.note(tx, "key.create", actor=None, subject=str(made.key_id), **told)
    return True


def _believed(email: str, password: str) -> str:
    """The canonical e-mail of settings that can make an administrator; ConfigError that says what is wrong."""
    if not (email and password):
        raise ConfigError("DEERFLOW_ADMIN_EMAIL and DEERFLOW_ADMIN_PASSWORD go together; one of them is not set")
    try:
        canonical = canonical_email(email)
        passwords.check(password, canonical)
    except Invalid as error:
        raise ConfigError(f"The administrator's {error}; see DEERFLOW_ADMIN_EMAIL, DEERFLOW_ADMIN_PASSWORD") from error
    return canonical
