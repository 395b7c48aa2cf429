"""Decisions on evidence: which borders between pieces part two objects, and which distant pieces are one.

Votes find more candidates than there are objects. A false cut ruins an object whose mask was already right, so a cut
needs evidence: a boundary along the border *and* votes that keep apart, and, where a membership network was asked, its
word. A join needs votes that meet, and the same word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sisegcli.grid import highest_around
from sisegcli.grouping.occlusion import find_hidden_links
from sisegcli.grouping.pieces import Pieces, contacts
from sisegcli.grouping.prompts import Pairs
from sisegcli.instances import Decision

Floats = NDArray[np.float32]

JOIN_ODDS = 3.0
"""Log odds from which membership and votes join two regions."""
PART_ODDS = -5.0
"""Log odds below which membership parts two regions, whatever lies between them."""
LARGE = 12
"""Cells that a piece needs to be the other part of a partly hidden object."""


@dataclass
class _Border:
    length: float
    strength: float  # sum over the contacts


@dataclass
class _Link:
    total: float  # log odds of being one object, times weight
    weight: float

    def odds(self) -> float:
        return self.total / self.weight


@dataclass
class _Node:
    """Sums over the cells of merged pieces."""

    area: float
    place: NDArray[np.float64]
    vote: NDArray[np.float64]
    square: float
    borders: dict[int, _Border] = field(default_factory=dict)
    links: dict[int, _Link] = field(default_factory=dict)

    def size(self) -> float:
        return float(np.sqrt(self.area))

    def spread(self) -> float:
        mean = self.vote / self.area
        return float(np.sqrt(max(self.square / self.area - float(mean @ mean), 0.0)))


def cut_evidence(strength: float, distance: float, spread: float, odds: float = 0.0) -> float:
    """Evidence that two touching pieces are two objects.

    The mean boundary along their border, lowered where their votes do not keep apart:
    e = strength · s / (1 + s), with s the distance of the mean votes over their spread.
    Where the membership network gave log odds m of their being one object, the evidence is
    σ(log(e / (1 − e)) − m / 2).

    Parameters
    ----------
    strength : float
        Mean boundary along the border, in [0, 1].
    distance : float
        Distance of the pieces' mean votes, in pixels.
    spread : float
        Sum of the standard deviations of the pieces' votes, in pixels.
    odds : float
        Log odds that they are one object; 0 where nobody was asked.

    Examples
    --------
    >>> round(cut_evidence(0.9, 8.0, 1.0), 2), round(cut_evidence(0.9, 1.0, 3.0), 2)
    (0.72, 0.18)
    """
    separation = distance / (spread + 1.0)
    seen = strength * separation / (1.0 + separation)
    if not odds:
        return seen
    seen = min(max(seen, 1e-3), 1 - 1e-3)
    odds = min(max(odds, -50.0), 50.0)
    return 1 / (1 + math.exp(odds / 2) * (1 - seen) / seen)


def decide(
    pieces: Pieces,
    boundary: Floats,
    *,
    cut: float,
    join: float,
    join_size: float,
    pairs: Pairs | None = None,
    decisions: list[Decision] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Merge pieces of one region while the evidence for their border is weak, then join pieces across regions.

    Parameters
    ----------
    pieces : Pieces
        What votes make of the regions.
    boundary : (h, w) array of float32
        Probability of a boundary.
    cut : float
        Evidence that a border needs to stay.
    join, join_size : float
        Pieces of different regions of a category are joined if their mean votes are closer than `join` times the
        distance between their centres and than `join_size` times the size of the smaller one.
    pairs : mapping, optional
        What the membership network said of pairs of pieces. Then pieces of different regions are joined if
        m − log(v + 0.1) > `JOIN_ODDS`, with m their log odds and v the distance of their votes over that of their
        centres, or if things of other categories lie between them (see `find_hidden_links`) and m > `PART_ODDS`.
    decisions : list of Decision, optional
        Gets every cut that was given up, in this order, then every cut that was kept; places are in cells.

    Returns
    -------
    owner : (n,) array of int32
        Object of each piece, from 1; 0 for row 0.
    evidence : (n,) array of float
        Weakest evidence among the borders that the object keeps inside its regions; 1 where it has none. Indexed by
        object.
    """
    nodes = _nodes(pieces, boundary)
    for (a, b), odds in (pairs or {}).items():
        weight = float(min(pieces.area[a], pieces.area[b]))
        nodes[a].links[b] = nodes[b].links[a] = _Link(odds * weight, weight)
    owner = np.arange(len(pieces.area), dtype=np.int32)
    _merge(nodes, owner, cut, decisions)
    weakest = {
        number: min([_evidence(nodes, number, o) for o in node.borders], default=1.0) for number, node in nodes.items()
    }
    if pairs is None:
        _join_votes(nodes, owner, pieces, join, join_size)
    else:
        _join_members(nodes, owner, pieces)
    owner = _roots(owner)
    numbers, dense = np.unique(owner[1:], return_inverse=True)
    evidence = np.ones(len(numbers) + 1)
    for piece in nodes:
        place = dense[piece - 1] + 1
        evidence[place] = min(evidence[place], weakest[piece])
    return np.concatenate(([0], dense + 1)).astype(np.int32), evidence


def _nodes(pieces: Pieces, boundary: Floats) -> dict[int, _Node]:
    nodes = {}
    for number in range(1, len(pieces.area)):
        area, vote = float(pieces.area[number]), pieces.vote[number]
        square = area * (float(pieces.spread[number]) ** 2 + float(vote @ vote))
        nodes[number] = _Node(area, pieces.centre[number] * area, vote * area, square)
    # The votes' border may miss the boundary's ridge by a cell.
    ridge = highest_around(boundary, 1)
    for first, second, length, strength in zip(*contacts(pieces.labels, pieces.region, ridge), strict=True):
        border = _Border(float(length), float(length * strength))
        nodes[int(first)].borders[int(second)] = border
        nodes[int(second)].borders[int(first)] = border
    return nodes


def _evidence(nodes: dict[int, _Node], a: int, b: int) -> float:
    one, other = nodes[a], nodes[b]
    border = one.borders[b]
    distance = float(np.linalg.norm(one.vote / one.area - other.vote / other.area))
    odds = one.links[b].odds() if b in one.links else 0.0
    return cut_evidence(border.strength / border.length, distance, one.spread() + other.spread(), odds)


def _merge(
    nodes: dict[int, _Node], owner: NDArray[np.int32], cut: float, decisions: list[Decision] | None = None
) -> None:
    """Merge the pair with the weakest evidence until every border has enough; the lower number survives."""
    known = {(a, b): _evidence(nodes, a, b) for a in nodes for b in nodes[a].borders if a < b}
    while known:
        (a, b), weakest = min(known.items(), key=lambda item: (item[1], item[0]))
        if weakest >= cut:
            break
        if decisions is not None:
            decisions.append(_decision(nodes, a, b, weakest, cut))
        one, other = nodes[a], nodes.pop(b)
        owner[b] = a
        one.area, one.place = one.area + other.area, one.place + other.place
        one.vote, one.square = one.vote + other.vote, one.square + other.square
        _relink(nodes, a, b, other)
        del one.borders[b]
        for c, border in other.borders.items():
            del known[min(b, c), max(b, c)]
            if c == a:
                continue
            del nodes[c].borders[b]
            mine = one.borders.get(c)
            whole = _Border(border.length + mine.length, border.strength + mine.strength) if mine else border
            one.borders[c] = nodes[c].borders[a] = whole
        for c in one.borders:
            known[min(a, c), max(a, c)] = _evidence(nodes, a, c)
    if decisions is not None:
        decisions += [_decision(nodes, a, b, evidence, cut) for (a, b), evidence in known.items()]


def _decision(nodes: dict[int, _Node], a: int, b: int, evidence: float, cut: float) -> Decision:
    kept = evidence >= cut
    doubt = (1 - evidence) / max(1 - cut, 1e-9) if kept else evidence / cut
    (ay, ax), (by, bx) = (map(float, nodes[n].place / nodes[n].area) for n in (a, b))
    return Decision(kept, doubt, (ay, ax), (by, bx))


def _relink(nodes: dict[int, _Node], a: int, b: int, gone: _Node) -> None:
    """Hand what is known of node b and others on to node a."""
    one = nodes[a]
    one.links.pop(b, None)
    for c, link in gone.links.items():
        if c == a:
            continue
        del nodes[c].links[b]
        mine = one.links.get(c)
        whole = _Link(link.total + mine.total, link.weight + mine.weight) if mine else link
        one.links[c] = nodes[c].links[a] = whole


def _join_members(nodes: dict[int, _Node], owner: NDArray[np.int32], pieces: Pieces) -> None:
    """Join pieces of different regions that are one object, partly hidden, or that membership and votes call one."""
    found = []
    for a, one in nodes.items():
        for b, link in one.links.items():
            if a < b and pieces.region[a] != pieces.region[b]:
                other = nodes[b]
                apart = float(np.linalg.norm(one.vote / one.area - other.vote / other.area))
                between = float(np.linalg.norm(one.place / one.area - other.place / other.area))
                odds = link.odds() - math.log(apart / max(between, 1e-9) + 0.1)
                if odds > JOIN_ODDS:
                    found.append((-odds, a, b))
    root = _roots(owner.copy())[pieces.labels]
    categories = np.where(pieces.labels > 0, pieces.category[pieces.labels], -1)
    large: dict[int, list[int]] = {}
    for number, node in nodes.items():
        if node.area >= LARGE:
            large.setdefault(int(pieces.category[number]), []).append(number)
    links = [link for numbers in large.values() for link in find_hidden_links(root, categories, numbers)]
    hidden = [(gap, a, b) for gap, a, b in links if b not in nodes[a].links or nodes[a].links[b].odds() > PART_ODDS]
    held = {n: {int(pieces.region[n])} for n in nodes}
    for _, a, b in sorted(hidden) + sorted(found):
        _unite(owner, held, a, b)


def _unite(owner: NDArray[np.int32], held: dict[int, set[int]], a: int, b: int) -> None:
    """Make two nodes one object, unless a region would hold it twice."""
    a, b = _root(owner, a), _root(owner, b)
    if a != b and not held[a] & held[b]:
        owner[max(a, b)] = min(a, b)
        held[min(a, b)] |= held[max(a, b)]


def _join_votes(
    nodes: dict[int, _Node], owner: NDArray[np.int32], pieces: Pieces, join: float, join_size: float
) -> None:
    """Join pieces of different regions whose votes meet, the closest first, if no region holds an object twice."""
    groups: dict[int, list[int]] = {}
    for number in nodes:
        groups.setdefault(int(pieces.category[number]), []).append(number)
    for members in groups.values():
        if len(members) < 2:
            continue
        area = np.array([nodes[n].area for n in members])
        vote = np.array([nodes[n].vote for n in members]) / area[:, None]
        centre = np.array([nodes[n].place for n in members]) / area[:, None]
        apart = np.linalg.norm(vote[:, None] - vote[None], axis=2)
        between = np.linalg.norm(centre[:, None] - centre[None], axis=2)
        smaller = np.sqrt(np.minimum(area[:, None], area[None]))
        near = (apart < join * between) & (apart < join_size * smaller)
        region = np.array([pieces.region[n] for n in members])
        near &= region[:, None] != region[None]
        held = {n: {int(pieces.region[n])} for n in members}
        order = sorted(zip(*np.nonzero(np.triu(near)), strict=True), key=lambda p: apart[p] / max(between[p], 1e-9))
        for i, j in order:
            _unite(owner, held, members[i], members[j])


def _root(owner: NDArray[np.int32], number: int) -> int:
    while owner[number] != number:
        number = int(owner[number])
    return number


def _roots(owner: NDArray[np.int32]) -> NDArray[np.int32]:
    while not np.array_equal(owner[owner], owner):
        owner = owner[owner]
    return owner
