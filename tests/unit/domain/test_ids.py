"""Ids of all kinds."""

from uuid import UUID

import pytest

from deerflow.domain.assistants import system_assistant_id
from deerflow.domain.ids import new_id, parse_id
from deerflow.domain.runs import task_id

CANONICAL = "fe096781-5601-53d2-b2f6-0d3403f7e9ca"


@pytest.mark.parametrize("text", [CANONICAL, CANONICAL.upper()])
def test_a_uuid_is_read_in_either_case(text):
    assert parse_id(text) == UUID(CANONICAL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agent",
        CANONICAL + "\n",
        "\n" + CANONICAL,
        CANONICAL + " ",
        f"{{{CANONICAL}}}",
        f"urn:uuid:{CANONICAL}",
        CANONICAL.replace("-", ""),
        CANONICAL[:-1],
        CANONICAL + "0",
        CANONICAL.replace("f", "g"),
        CANONICAL.replace("5", "\u0665"),
        CANONICAL.replace("-", "\u2010"),
        CANONICAL + "\0",
    ],
)
def test_every_other_spelling_is_refused(text):
    assert parse_id(text) is None


def test_new_ids_are_canonical_and_ordered_by_time():
    ids = [new_id() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert all(parse_id(str(each)) == each and each.version == 7 for each in ids)


def test_a_graphs_own_assistant_has_the_id_that_every_langgraph_server_gives_it():
    assert system_assistant_id("agent") == UUID("fe096781-5601-53d2-b2f6-0d3403f7e9ca")


def test_every_ring_has_a_task_id_of_its_own():
    """scenario 20"""
    run_id = UUID(CANONICAL)
    assert [task_id(run_id, ring) for ring in (1, 2)] == [f"{CANONICAL}.1", f"{CANONICAL}.2"]
