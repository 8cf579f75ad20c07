"""Where the nodes and edges of a graph go in its drawing: layers from top to bottom, as Sugiyama draws them.

1. Edges that would close a cycle are turned round, for the layout alone.
2. A node's layer is the longest way to it; ``__end__`` lies below all others. An edge over several layers gets a bend
   in each layer between.
3. Within a layer all lie near what they are tied to in the layers beside it.

Pure arithmetic in pixels; the template makes SVG of it, and the style sheet its colours.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from unicodedata import east_asian_width

_HEIGHT, _BETWEEN_LAYERS, _BETWEEN_NODES, _MARGIN = 36.0, 52.0, 28.0, 12.0
_LEAST_WIDTH, _PADDING, _NARROW, _WIDE = 76.0, 28.0, 7.6, 13.5
_MOST_CHARACTERS = 30
_BEND_WIDTH, _LOOP = 8.0, 26.0
_SWEEPS = 8
_MOST = 2_500
"""Nodes and edges; and layers that edges lead through, of all together."""
_ENDS = {"__start__": "start", "__end__": "end"}

_Way = tuple[str, str]
_Place = str | tuple[_Way, int]
"""A node, or a bend of an edge in a layer."""


@dataclass(frozen=True)
class Node:
    """A box, ``x`` and ``y`` in its middle. ``kind``: start, end or plain. ``label`` is cut where ``name`` is long."""

    name: str
    label: str
    kind: str
    x: float
    y: float
    width: float
    height: float = _HEIGHT


@dataclass(frozen=True)
class Edge:
    """A line with an arrow at its end. ``label`` lies at ``x``, ``y``."""

    source: str
    target: str
    is_conditional: bool
    label: str
    path: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """All of it; the upper left corner is 0, 0."""

    width: float
    height: float
    nodes: list[Node]
    edges: list[Edge]


def draw(graph: dict[str, Any]) -> Drawing | None:
    """Lay out a graph as LangChain tells it: ``nodes`` with an ``id``, ``edges`` with ``source`` and ``target``.

    None for one with more nodes, edges and bends than anybody could follow: no other request shall wait for it.
    """
    names = list(dict.fromkeys(str(node["id"]) for node in graph.get("nodes", [])))
    told = {(str(each["source"]), str(each["target"])): each for each in graph.get("edges", [])}
    known = set(names)
    told = {way: each for way, each in told.items() if known.issuperset(way)}
    if len(names) + len(told) > _MOST:
        return None
    turned = _turned(names, list(told))
    layers = _layers(names, {_oriented(way, turned) for way in told if way[0] != way[1]})
    if sum(abs(layers[source] - layers[target]) for source, target in told) > _MOST:
        return None
    rows, links = _rows(names, layers, [(way, _oriented(way, turned)) for way in told if way[0] != way[1]])
    _sort(rows, links)
    loops = {source for source, target in told if source == target}
    widths = {name: _width(name) + (_LOOP * 2 if name in loops else 0) for name in names}
    middles = _middles(rows, links, widths)
    left = min((middles[each] - _wide(each, widths) / 2 for each in middles), default=0.0) - _MARGIN
    right = max((middles[each] + _wide(each, widths) / 2 for each in middles), default=0.0) + _MARGIN
    laid = _Laid(
        {each: (middles[each] - left, _y(layers[each] if isinstance(each, str) else each[1])) for each in middles},
        {name: _width(name) for name in names},
        {way: _chain(way, *_oriented(way, turned), layers) for way in told if way[0] != way[1]},
        turned,
    )
    return _placed(told, laid, right - left, len(rows) - 1)


def _turned(names: list[str], ways: list[_Way]) -> set[_Way]:
    """The edges that lead back to where a walk from the start has come from."""
    after = defaultdict(list)
    for source, target in ways:
        after[source].append(target)
    reached, under_way, back = set(), set(), set()
    entered = {target for source, target in ways if source != target}
    for first in sorted(names, key=lambda name: (name != "__start__", name in entered)):
        walk: list[tuple[str, Iterator[str]]] = [] if first in reached else [(first, iter(after[first]))]
        reached.add(first)
        under_way |= {first} if walk else set()
        while walk:
            here, rest = walk[-1]
            there = next(rest, None)
            if there is None:
                under_way.discard(walk.pop()[0])
            elif there in under_way:
                back.add((here, there))
            elif there not in reached:
                reached.add(there)
                under_way.add(there)
                walk.append((there, iter(after[there])))
    return back


def _oriented(way: _Way, turned: set[_Way]) -> _Way:
    return (way[1], way[0]) if way in turned else way


def _layers(names: list[str], ways: set[_Way]) -> dict[str, int]:
    """The layer of each node; no edge stays within one."""
    before: dict[str, set[str]] = {name: set() for name in names}
    for source, target in ways:
        before[target].add(source)
    layers: dict[str, int] = {}
    waiting = list(names)
    while waiting:
        ready = [name for name in waiting if before[name] <= layers.keys()]
        layers |= {name: 1 + max((layers[each] for each in before[name]), default=-1) for name in ready}
        waiting = [name for name in waiting if name not in layers]
    if "__end__" in layers:
        lowest = max((layer for name, layer in layers.items() if name != "__end__"), default=-1)
        layers["__end__"] = max(layers["__end__"], lowest + 1)
    return layers


def _rows(
    names: list[str], layers: dict[str, int], ways: list[tuple[_Way, _Way]]
) -> tuple[list[list[_Place]], list[tuple[_Place, _Place]]]:
    """What lies in each layer, bends too; and what is tied to what in the next one."""
    rows: list[list[_Place]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for name in names:
        rows[layers[name]].append(name)
    links: list[tuple[_Place, _Place]] = []
    for way, (upper, lower) in ways:
        chain = _chain(way, upper, lower, layers)
        for layer, bend in enumerate(chain[1:-1], layers[upper] + 1):
            rows[layer].append(bend)
        links += pairwise(chain)
    return rows, links


def _chain(way: _Way, upper: str, lower: str, layers: dict[str, int]) -> list[_Place]:
    return [upper, *((way, layer) for layer in range(layers[upper] + 1, layers[lower])), lower]


def _beside(links: list[tuple[_Place, _Place]]) -> tuple[dict[_Place, list[_Place]], dict[_Place, list[_Place]]]:
    """What is tied to each place from above, and from below."""
    above, below = defaultdict(list), defaultdict(list)
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    return above, below


def _sort(rows: list[list[_Place]], links: list[tuple[_Place, _Place]]) -> None:
    """Order each layer by where its neighbours are, down and up again, so that few edges cross."""
    sides = _beside(links)
    for sweep in range(_SWEEPS):
        beside, order = (sides[1], rows[::-1]) if sweep % 2 else (sides[0], rows)
        at = {place: float(i) for row in rows for i, place in enumerate(row)}
        for row in order[1:]:
            row.sort(key=lambda place: _mean((at[each] for each in beside[place]), at[place]))
            at |= {place: float(i) for i, place in enumerate(row)}


def _middles(
    rows: list[list[_Place]], links: list[tuple[_Place, _Place]], widths: dict[str, float]
) -> dict[_Place, float]:
    """The middle of each place from left to right."""
    sides = _beside(links)
    middles = {place: 0.0 for row in rows for place in row}
    for sweep in range(_SWEEPS):
        beside, order = (sides[1], rows[::-1]) if sweep % 2 else (sides[0], rows)
        for row in order:
            wanted = [_mean((middles[each] for each in beside[place]), middles[place]) for place in row]
            gaps = [_gap(one, other, widths) for one, other in pairwise(row)]
            middles |= dict(zip(row, _apart(wanted, gaps), strict=True))
    return middles


def _gap(one: _Place, other: _Place, widths: dict[str, float]) -> float:
    return (_wide(one, widths) + _wide(other, widths)) / 2 + _BETWEEN_NODES


def _wide(place: _Place, widths: dict[str, float]) -> float:
    return widths[place] if isinstance(place, str) else _BEND_WIDTH


def _apart(wanted: list[float], gaps: list[float]) -> list[float]:
    """Near what is wanted, in this order and so far apart: halfway between pushing to the right and to the left."""
    right, left = list(wanted), list(wanted)
    for i, gap in enumerate(gaps):
        right[i + 1] = max(right[i + 1], right[i] + gap)
    for i, gap in reversed(list(enumerate(gaps))):
        left[i] = min(left[i], left[i + 1] - gap)
    return [(one + other) / 2 for one, other in zip(right, left, strict=True)]


@dataclass(frozen=True)
class _Laid:
    """Where all places are, how wide the boxes, and each edge's way from its upper box to its lower one."""

    at: dict[_Place, tuple[float, float]]
    boxes: dict[str, float]
    chains: dict[_Way, list[_Place]]
    turned: set[_Way]


def _placed(told: dict[_Way, Any], laid: _Laid, width: float, lowest: int) -> Drawing:
    nodes = [
        Node(name, _label(name), _ENDS.get(name, "plain"), round(laid.at[name][0]), round(laid.at[name][1]), width)
        for name, width in laid.boxes.items()
    ]
    ports = _ports(laid)
    edges = [_edge(way, each, laid, ports) for way, each in told.items()]
    return Drawing(round(width), round(_y(lowest) + _HEIGHT / 2 + _MARGIN), nodes, edges)


def _y(layer: int) -> float:
    return _MARGIN + _HEIGHT / 2 + layer * (_HEIGHT + _BETWEEN_LAYERS)


def _ports(laid: _Laid) -> dict[tuple[_Way, int], float]:
    """Where an edge touches its upper box (0) and its lower one (-1): those of a side share it, from left to right."""
    sides: dict[tuple[_Place, int], list[_Way]] = defaultdict(list)
    for way, chain in laid.chains.items():
        sides[chain[0], 0].append(way)
        sides[chain[-1], -1].append(way)
    ports = {}
    for (box, side), ways in sides.items():
        assert isinstance(box, str)
        towards = {way: laid.at[laid.chains[way][1 if side == 0 else -2]][0] for way in ways}
        for i, way in enumerate(sorted(ways, key=lambda way: (towards[way], way)), 1):
            ports[way, side] = laid.at[box][0] + laid.boxes[box] * 0.7 * (i / (len(ways) + 1) - 0.5)
    return ports


def _edge(way: _Way, told: dict[str, Any], laid: _Laid, ports: dict[tuple[_Way, int], float]) -> Edge:
    said = told.get("data")
    label, is_conditional = _cut(said if isinstance(said, str) else ""), bool(told.get("conditional"))
    if way not in laid.chains:
        x, y = laid.at[way[0]][0] + laid.boxes[way[0]] / 2, laid.at[way[0]][1]
        path = f"M{x:.0f} {y - 7:.0f} c{_LOOP:.0f} -12 {_LOOP:.0f} 26 2 14"
        return Edge(*way, is_conditional, label, path, round(x + _LOOP / 2), round(y - 14))
    points = _points(way, laid, ports)
    (x0, y0), (x1, y1) = points[(len(points) - 1) // 2], points[len(points) // 2]
    return Edge(*way, is_conditional, label, _curve(points), round((x0 + x1) / 2), round((y0 + y1) / 2))


def _points(way: _Way, laid: _Laid, ports: dict[tuple[_Way, int], float]) -> list[tuple[float, float]]:
    chain = laid.chains[way]
    first = (ports[way, 0], laid.at[chain[0]][1] + _HEIGHT / 2)
    last = (ports[way, -1], laid.at[chain[-1]][1] - _HEIGHT / 2)
    points = [first, *(laid.at[bend] for bend in chain[1:-1]), last]
    return points[::-1] if way in laid.turned else points


def _curve(points: list[tuple[float, float]]) -> str:
    """A line through these points that leaves and enters each from straight above or below."""
    said = [f"M{points[0][0]:.0f} {points[0][1]:.0f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        said.append(f"C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {y1:.0f}")
    return " ".join(said)


def _label(name: str) -> str:
    return _cut(name.strip("_") if name in _ENDS else name)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def _width(name: str) -> float:
    written = sum(_WIDE if east_asian_width(each) in "WF" else _NARROW for each in _label(name))
    return round(max(_LEAST_WIDTH, written + _PADDING))


def _mean(values: Iterable[float], otherwise: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else otherwise
