"""The Python SDK's assistants, unmodified: every method of the client, against the real state worker."""

from uuid import uuid4

import pytest
from langgraph_sdk.errors import BadRequestError, ConflictError, NotFoundError, PermissionDeniedError

from deerflow.domain.assistants import system_assistant_id
from tests.conformance.conftest import Sdk


def test_life_of_an_assistant(sdk: Sdk) -> None:
    """Created, changed, put back, listed and deleted, with the thread of its run."""
    chosen, word = str(uuid4()), str(uuid4())
    config = {"tags": ["t"], "configurable": {"colour": "red"}}
    made = sdk.assistants.create(
        "echo", config, assistant_id=chosen, metadata={"word": word}, name="N", description="d"
    )
    assert sdk.assistants.get(chosen) == made
    assert (made["assistant_id"], made["version"], made["context"]) == (chosen, 1, {"colour": "red"})
    with pytest.raises(ConflictError, match="already exists"):
        sdk.assistants.create("echo", assistant_id=chosen)
    assert sdk.assistants.create("echo", assistant_id=chosen, if_exists="do_nothing") == made
    changed = sdk.assistants.update(chosen, context={"colour": "blue"}, metadata={"k": 2}, name="M", description="e")
    assert (changed["version"], changed["metadata"]) == (2, {"word": word, "k": 2})
    assert [each["version"] for each in sdk.assistants.get_versions(chosen)] == [2, 1]
    assert [each["version"] for each in sdk.assistants.get_versions(chosen, metadata={"k": 2}, limit=1)] == [2]
    thread_id = sdk.threads.create()["thread_id"]
    told = sdk.runs.wait(thread_id, chosen, input={})["told"]
    assert (told["context"], told["configurable"]["colour"]) == ({"colour": "blue"}, "blue")
    assert (told["metadata"]["word"], told["configurable"]["assistant_id"]) == (word, chosen)
    assert sdk.assistants.set_latest(chosen, 1)["context"] == {"colour": "red"}
    told = sdk.runs.wait(thread_id, chosen, input={})["told"]
    assert (told["context"], told["tags"]) == ({"colour": "red"}, ["t"])
    assert sdk.assistants.count(metadata={"word": word}) == 1
    page = sdk.assistants.search(
        metadata={"word": word}, graph_id="echo", name="n", sort_by="name", sort_order="asc", select=["version"],
        response_format="object",
    )  # fmt: skip
    assert page == {"assistants": [{"version": 1}], "next": None}
    sdk.assistants.delete(chosen, delete_threads=True)
    for gone in (lambda: sdk.assistants.get(chosen), lambda: sdk.threads.get(thread_id)):
        with pytest.raises(NotFoundError):
            gone()


def test_errors_are_sentences(sdk: Sdk) -> None:
    with pytest.raises(NotFoundError, match=r"Graph 'nope' not found\. Expected one of"):
        sdk.assistants.create("nope")
    with pytest.raises(BadRequestError, match="both configurable and context"):
        sdk.assistants.create("echo", {"configurable": {"a": 1}}, context={"a": 1})
    with pytest.raises(PermissionDeniedError, match=r"langgraph\.json"):
        sdk.assistants.delete(str(system_assistant_id("echo")))


def test_pages(sdk: Sdk) -> None:
    """The header leads the SDK from page to page."""
    page = sdk.assistants.search(metadata={"created_by": "system"}, limit=3, response_format="object")
    rest = sdk.assistants.search(metadata={"created_by": "system"}, offset=int(page["next"]), limit=1000)
    ids = {each["assistant_id"] for each in [*page["assistants"], *rest]}
    assert len(ids) == 3 + len(rest) == sdk.assistants.count(metadata={"created_by": "system"})


def test_looking_at_graphs(sdk: Sdk) -> None:
    """As Studio does: drawing, schemas and subgraphs of a graph within a graph."""
    key = str(system_assistant_id("asking_inside"))
    names = [node["id"] for node in sdk.assistants.get_graph(key)["nodes"]]
    assert names == ["__start__", "child", "after", "__end__"]
    assert sdk.assistants.get_graph("asking_inside") == sdk.assistants.get_graph(key, xray=False)
    for xray in (True, 1):
        names = [node["id"] for node in sdk.assistants.get_graph(key, xray=xray)["nodes"]]
        assert sorted(names) == ["__end__", "__start__", "after", "child:ask", "child:inner"]
    schemas = sdk.assistants.get_schemas(key)
    assert (schemas["graph_id"], schemas["context_schema"]) == ("asking_inside", None)
    assert set(schemas["input_schema"]["properties"]) == {"log"}
    assert sdk.assistants.get_schemas(str(system_assistant_id("echo")))["context_schema"]["title"] == "Context"
    subgraphs = sdk.assistants.get_subgraphs(key, recurse=True)
    assert subgraphs == sdk.assistants.get_subgraphs(key, namespace="child")
    assert set(subgraphs["child"]) == set(schemas) - {"graph_id"}
