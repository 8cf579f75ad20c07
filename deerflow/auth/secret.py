"""The secret that signs session cookies and one-time links."""

import secrets

from deerflow.errors import ConfigError
from deerflow.secret_file import kept
from deerflow.settings import Settings

_FEWEST = 32


def secrets_in_force(settings: Settings) -> list[str]:
    """The secrets that are set, or the one kept in the data folder; the first one signs. ConfigError as below."""
    require_secret(settings)
    if (found := settings.secret.split()) or settings.secret_file is None:
        return found
    found = [kept(settings.secret_file, secrets.token_urlsafe(48), kind="secret of session cookies")]
    if len(found[0]) < _FEWEST:  # an empty one would sign links that anybody can make
        raise ConfigError(f"The secret in {settings.secret_file} is too short: delete the file, a new one will be made")
    return found


def require_secret(settings: Settings) -> None:
    """Raise ConfigError when there has to be a secret and there is none, or a poor one; none is made here.

    With a database elsewhere each machine would make its own.
    """
    found = settings.secret.split()
    if any(len(each) < _FEWEST for each in found):
        raise ConfigError(f"DEERFLOW_SECRET must have at least {_FEWEST} characters")
    if not found and settings.secret_file is None:
        raise ConfigError(
            "With a database of its own the server needs DEERFLOW_SECRET, the same for every process. "
            'Make one: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
        )
