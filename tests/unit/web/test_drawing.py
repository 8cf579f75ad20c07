"""Where nodes and edges of a graph go."""

import re
import time
from itertools import pairwise
from typing import Any

import pytest

from deerflow.web import drawing
from deerflow.web.drawing import Drawing, Node


def graph(ways: str, **of_edges: Any) -> dict[str, Any]:
    """A graph of edges like ``a>b b>c``."""
    pairs = [tuple(way.split(">")) for way in ways.split()]
    names = dict.fromkeys(name for pair in pairs for name in pair)
    return {
        "nodes": [{"id": name} for name in names],
        "edges": [{"source": source, "target": target, **of_edges} for source, target in pairs],
    }


def draw(told: dict[str, Any]) -> Drawing:
    """The drawing of a graph that is not too large for one."""
    drawn = drawing.draw(told)
    assert drawn is not None
    return drawn


AGENT = graph("__start__>agent agent>tools tools>agent agent>__end__")
WIDE = graph(" ".join(f"__start__>n{i} n{i}>__end__" for i in range(58)))
LONG = graph(" ".join(f"n{i}>n{i + 1} n{i}>n59" for i in range(58)))
TANGLED = graph("a>b b>c c>a a>c c>c b>b d>a c>d x>y")
EMPTY: dict[str, Any] = {"nodes": [], "edges": []}
GRAPHS = {
    "an agent": AGENT, "58 beside each other": WIDE, "60 below each other": LONG, "tangled": TANGLED,
    "one node": {"nodes": [{"id": "alone"}], "edges": []}, "nothing": EMPTY,
    "a node that leads to itself": graph("a>a"), "two rings": graph("a>b b>a c>d d>c"),
}  # fmt: skip


def numbers(path: str) -> list[tuple[float, float]]:
    """The points of a path that a line goes through."""
    found = [float(each) for each in re.findall(r"-?\d+", path)]
    points = list(zip(found[::2], found[1::2], strict=True))
    return [points[0], *points[3::3]]


def overlap(one: Node, other: Node) -> bool:
    near = abs(one.x - other.x) < (one.width + other.width) / 2
    return near and abs(one.y - other.y) < (one.height + other.height) / 2


@pytest.mark.parametrize("name", GRAPHS)
def test_everything_is_there_and_nothing_lies_on_something_else(name: str) -> None:
    told = GRAPHS[name]
    before = time.thread_time()
    drawn = draw(told)
    assert time.thread_time() - before < 1
    assert [node.name for node in drawn.nodes] == [node["id"] for node in told["nodes"]]
    assert len(drawn.edges) == len(told["edges"])
    for i, one in enumerate(drawn.nodes):
        assert not any(overlap(one, other) for other in drawn.nodes[:i])
        assert one.width / 2 <= one.x <= drawn.width - one.width / 2
        assert one.height / 2 <= one.y <= drawn.height - one.height / 2
    assert draw(told) == drawn


@pytest.mark.parametrize("name", GRAPHS)
def test_edges_lead_from_box_to_box(name: str) -> None:
    drawn = draw(GRAPHS[name])
    boxes = {node.name: node for node in drawn.nodes}
    for edge in drawn.edges:
        if edge.source == edge.target:
            continue
        (x0, y0), *_, (x1, y1) = numbers(edge.path)
        for box, x, y in ((boxes[edge.source], x0, y0), (boxes[edge.target], x1, y1)):
            assert abs(x - box.x) <= box.width / 2, edge
            assert abs(y - box.y) == box.height / 2, edge


def levels(drawn: Drawing) -> dict[str, float]:
    return {node.name: node.y for node in drawn.nodes}


def test_a_graph_reads_from_top_to_bottom() -> None:
    """But for the edge that leads back."""
    at = levels(draw(AGENT))
    assert at["__start__"] < at["agent"] < at["tools"] < at["__end__"]
    assert len({*levels(draw(WIDE)).values()}) == 3


def test_an_edge_goes_round_the_boxes_between() -> None:
    drawn = draw(graph("a>b b>c a>c"))
    between = next(node for node in drawn.nodes if node.name == "b")
    past = next(edge for edge in drawn.edges if (edge.source, edge.target) == ("a", "c"))
    at_its_height = [x for x, y in numbers(past.path) if y == between.y]
    assert at_its_height
    assert all(abs(x - between.x) > between.width / 2 for x in at_its_height)


def test_two_edges_between_the_same_boxes_lie_side_by_side() -> None:
    back, forth = draw(graph("a>b b>a")).edges
    assert numbers(back.path)[0][0] != numbers(forth.path)[-1][0]


def test_conditions_and_labels_are_kept_and_long_names_cut() -> None:
    long = "a_node_with_a_name_that_goes_on_for_quite_a_while"
    drawn = draw(graph(f"a>{long}", conditional=True, data="yes"))
    (edge,) = drawn.edges
    assert (edge.is_conditional, edge.label) == (True, "yes")
    node = drawn.nodes[1]
    assert (node.name, len(node.label), node.label[-1]) == (long, 30, "…")
    assert [each.label for each in draw(AGENT).nodes] == ["start", "agent", "tools", "end"]


def test_edges_of_unknown_nodes_are_left_out() -> None:
    told = graph("a>b")
    told["edges"].append({"source": "a", "target": "nowhere"})
    assert len(draw(told).edges) == 1


def test_wide_characters_get_room() -> None:
    wide, narrow = draw(graph("搜索网络上的资料>search_web_1234")).nodes
    assert wide.width > 8 * 13
    assert all(one.y < other.y for one, other in pairwise([wide, narrow]))


@pytest.mark.parametrize(
    "told",
    [
        {"nodes": [{"id": f"n{i}"} for i in range(5_000)], "edges": [{"source": "n0", "target": "n1"}] * 5_000},
        graph(" ".join(f"n{i}>n{i + 1}" for i in range(5_000))),
        graph(" ".join(f"n{i}>n{i + 1} n{i}>n200" for i in range(199))),
    ],
    ids=["many nodes", "a long chain", "edges over many others"],
)
def test_what_nobody_could_follow_is_not_drawn(told: dict[str, Any]) -> None:
    """Laying it out would take seconds, in which the process answers nobody."""
    begun = time.process_time()
    assert drawing.draw(told) is None
    assert time.process_time() - begun < 1
