"""Assistants as lists to choose from show them."""

from deerflow.backend import Backend
from deerflow.domain.assistants import AssistantSpec
from deerflow.domain.ids import new_id
from deerflow.domain.principal import PERMISSIONS, Principal
from deerflow.storage import assistants

ADA, BOB = Principal("ada", PERMISSIONS), Principal("bob", PERMISSIONS)


def test_the_systems_come_first_then_the_callers_own_by_name(backend: Backend) -> None:
    """Also where there are more than a list shows; capitals before small letters, on both databases."""
    with backend.db.begin() as tx:
        own = [each.assistant_id for each in assistants.search(tx, ADA, limit=1000, offset=0)]
        for owner, name in ((ADA, "b"), (ADA, "B"), (ADA, "a"), (BOB, "0")):
            assistants.create(tx, owner, new_id(), AssistantSpec(graph_id="steps", name=name))
        found = assistants.lines(tx, ADA, limit=len(own) + 2)
    assert own, "every graph has one"
    assert {each.assistant_id for each in found[:-2]} == set(own)
    assert [(each.name, each.graph_id) for each in found[-2:]] == [("B", "steps"), ("a", "steps")]
