"""How often passwords may be guessed.

A guess is counted before it is looked at, so that guesses at the same time count too, and given back when it was right.
The limit of an account holds for addresses where nobody is signed in to it: strangers cannot lock its owner out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from deerflow.auth.addresses import household
from deerflow.auth.limits import Limit, Limits
from deerflow.backend import Backend
from deerflow.errors import Forbidden, Unauthenticated
from deerflow.storage import sessions

_ADDRESS = Limit("login", 5, 300, "Too many failed sign-ins from this address; try again later")
_ACCOUNT = Limit("login-account", 30, 3600, "Too many failed sign-ins to this account; try again later")
_SESSION = Limit("password", 5, 300, "Too many wrong passwords; try again later")
_LINK = Limit("reset-link", 20, 300, "Too many links that open nothing; try again later")
_REGISTER = Limit("register", 10, 3600, "Too many new accounts from this address; try again later")

Guess = tuple[Limit, str]


def of_login(backend: Backend, email: str, address: str | None) -> list[Guess]:
    """What a try to sign in counts against; the same questions for who exists and who does not."""
    here = household(address)
    with backend.db.read() as tx:
        is_at_home = here in {household(each) for each in sessions.addresses(tx, email)}
    by_address = [(_ADDRESS, here)]
    return by_address if is_at_home else [*by_address, (_ACCOUNT, email)]


def of_session(session_id: UUID) -> list[Guess]:
    """What a try to say the password again counts against."""
    return [(_SESSION, str(session_id))]


def of_link(address: str | None) -> list[Guess]:
    """What a try of a one-time link counts against."""
    return [(_LINK, household(address))]


def count_registration(limits: Limits, address: str | None) -> None:
    """Count a new account, whatever becomes of it."""
    limits.spend(_REGISTER, household(address))


@contextmanager
def counted(limits: Limits, guesses: list[Guess]) -> Iterator[None]:
    """Count these guesses; given back unless the block says, by Unauthenticated or Forbidden, that they were wrong."""
    spent: list[Guess] = []
    try:
        for guess in guesses:
            limits.spend(*guess)
            spent.append(guess)
        yield
    except (Unauthenticated, Forbidden):
        raise
    except BaseException:
        _give_back(limits, spent)
        raise
    _give_back(limits, spent)


def _give_back(limits: Limits, spent: list[Guess]) -> None:
    for guess in spent:
        limits.give_back(*guess)
