"""How often passwords may be guessed.

A guess is counted before it is looked at, so that guesses at the same time count too, and given back when it was right.
So of a crowd that signs in at once from one address those who come too early wait a little: the guesses before them
may be no failures. The limit of an account holds for addresses where nobody is signed in to it: strangers cannot lock
its owner out.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from deerflow.auth.addresses import household
from deerflow.auth.limits import Limit, Limits
from deerflow.backend import Backend
from deerflow.domain.accounts import User
from deerflow.errors import Forbidden, RateLimited, Unauthenticated, Unavailable
from deerflow.storage import sessions

_ADDRESS = Limit("login", 5, 300, "Too many failed sign-ins from this address; try again later")
_ACCOUNT = Limit("login-account", 30, 3600, "Too many failed sign-ins to this account; try again later")
_SESSION = Limit("password", 5, 300, "Too many wrong passwords; try again later")
_LINK = Limit("reset-link", 20, 300, "Too many links that open nothing; try again later")
_REGISTER = Limit("register", 10, 3600, "Too many new accounts from this address; try again later")
_EMAIL = Limit("email", 10, 3600, "Too many new e-mail addresses within an hour; try again later")

_PATIENCE_SECONDS, _PAUSE_SECONDS, _QUIET_LOOKS = 3.0, 0.05, 3

Guess = tuple[Limit, str]


class UnderWay:
    """The guesses that this process is looking at."""

    def __init__(self) -> None:
        self.changes = 0
        self._lock = threading.Lock()
        self._counts: Counter[Guess] = Counter()

    def note(self, guess: Guess, change: int) -> None:
        """One more, or one less."""
        with self._lock:
            self.changes += 1
            self._counts[guess] += change
            if not self._counts[guess]:
                del self._counts[guess]

    def __contains__(self, guess: Guess) -> bool:
        return guess in self._counts


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


def count_new_email(limits: Limits, user: User) -> None:
    """Count an e-mail that somebody wants to have: the answer tells whether another account has it."""
    limits.spend(_EMAIL, user.owner)


@contextmanager
def counted(limits: Limits, under_way: UnderWay, guesses: list[Guess]) -> Iterator[None]:
    """Count these guesses; given back unless the block says, by Unauthenticated or Forbidden, that they were wrong."""
    spent: list[Guess] = []
    was_wrong = False
    try:
        for guess in guesses:
            _spend(limits, under_way, guess)
            spent.append(guess)
        yield
    except (Unauthenticated, Forbidden):
        was_wrong = True
        raise
    finally:
        for guess in spent:
            if not was_wrong:
                with suppress(Unavailable):  # then it counts as one failure, and ends by itself
                    limits.give_back(*guess)
            under_way.note(guess, -1)


def _spend(limits: Limits, under_way: UnderWay, guess: Guess) -> None:
    """Count one; RateLimited when there are too many, and none of those under way can turn out to be right any more."""
    give_up, quiet = time.monotonic() + _PATIENCE_SECONDS, 0
    while True:
        before = under_way.changes
        try:
            limits.spend(*guess)
        except RateLimited:
            # One look is not enough: somebody may be counted already and not noted yet, or gone just now.
            quiet = quiet + 1 if guess not in under_way and under_way.changes == before else 0
            if quiet >= _QUIET_LOOKS or time.monotonic() > give_up:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            under_way.note(guess, +1)
            return
