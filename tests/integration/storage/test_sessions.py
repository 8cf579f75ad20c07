"""Rows of sessions."""

from deerflow.backend import Backend
from deerflow.storage import sessions
from tests.factories import make_user


def test_of_very_many_sessions_the_least_seen_make_room(backend: Backend) -> None:
    """A script that signs in each time fills no table, and ends nobody else's sessions."""
    ada, bob = make_user(backend, "ada@example.com"), make_user(backend, "bob@example.com")
    facts = {"browser": "curl", "address": "192.0.2.1", "seconds": 60}
    with backend.db.begin() as tx:
        of_bob = sessions.begin(tx, bob, **facts)
        begun = [sessions.begin(tx, ada, **facts).session_id for _ in range(103)]
    with backend.db.read() as tx:
        assert {each.session_id for each in sessions.of_user(tx, ada.user_id)} == set(begun[3:])
        assert sessions.of_user(tx, bob.user_id) == [of_bob]
