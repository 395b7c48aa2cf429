"""Nodes: pieces, and what they become as they are merged, with what is known of the borders and pairs between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sisegcli.grid import highest_around
from sisegcli.grouping.pieces import Pieces, contacts
from sisegcli.grouping.prompts import Pairs

Floats = NDArray[np.float32]


@dataclass
class Border:
    """Contacts of two nodes of one region: how many, and the sum of the boundary over them."""

    length: float
    strength: float


@dataclass
class Link:
    """Log odds of two nodes being one object, as membership has it: their sum times weight, and the weight."""

    total: float
    weight: float

    def odds(self) -> float:
        """Return the mean log odds."""
        return self.total / self.weight


@dataclass
class Node:
    """Sums over the cells of merged pieces."""

    pieces: frozenset[int]
    area: float
    place: NDArray[np.float64]
    vote: NDArray[np.float64]
    square: float
    borders: dict[int, Border] = field(default_factory=dict)
    links: dict[int, Link] = field(default_factory=dict)

    def spread(self) -> float:
        """Return the standard deviation of the votes, in cells."""
        mean = self.vote / self.area
        return math.sqrt(max(self.square / self.area - float(mean.dot(mean)), 0.0))


Nodes = dict[int, Node]
"""Nodes by the lowest number of their pieces."""


def make_nodes(pieces: Pieces, boundary: Floats, pairs: Pairs | None) -> Nodes:
    """Make a node of every piece.

    Parameters
    ----------
    pieces : Pieces
        The pieces.
    boundary : (h, w) array of float32
        Probability of a boundary.
    pairs : mapping, optional
        Log odds of membership for pairs of pieces.
    """
    nodes = {}
    for number in range(1, len(pieces.area)):
        area, vote = float(pieces.area[number]), pieces.vote[number]
        square = area * (float(pieces.spread[number]) ** 2 + float(vote @ vote))
        nodes[number] = Node(frozenset([number]), area, pieces.centre[number] * area, vote * area, square)
    # The votes' border may miss the boundary's ridge by a cell.
    ridge = highest_around(boundary, 1)
    for first, second, length, strength in zip(*contacts(pieces.labels, pieces.region, ridge), strict=True):
        border = Border(float(length), float(length * strength))
        nodes[int(first)].borders[int(second)] = border
        nodes[int(second)].borders[int(first)] = border
    for (a, b), odds in (pairs or {}).items():
        weight = float(min(pieces.area[a], pieces.area[b]))
        nodes[a].links[b] = nodes[b].links[a] = Link(odds * weight, weight)
    return nodes


def merge(nodes: Nodes, a: int, b: int) -> None:
    """Merge node b into node a, with borders and links."""
    one, other = nodes[a], nodes.pop(b)
    one.pieces |= other.pieces
    one.area, one.place = one.area + other.area, one.place + other.place
    one.vote, one.square = one.vote + other.vote, one.square + other.square
    one.borders.pop(b, None)
    one.links.pop(b, None)
    for c, border in other.borders.items():
        if c != a:
            del nodes[c].borders[b]
            mine = one.borders.get(c)
            whole = Border(border.length + mine.length, border.strength + mine.strength) if mine else border
            one.borders[c] = nodes[c].borders[a] = whole
    for c, link in other.links.items():
        if c != a:
            del nodes[c].links[b]
            known = one.links.get(c)
            both = Link(link.total + known.total, link.weight + known.weight) if known else link
            one.links[c] = nodes[c].links[a] = both


def neighbours(nodes: Mapping[int, Node]) -> list[tuple[int, int]]:
    """Return all pairs of nodes with a border, lower number first."""
    return [(a, b) for a in nodes for b in nodes[a].borders if a < b]


def root(owner: NDArray[np.int32], number: int) -> int:
    """Return what a piece became part of, in the end."""
    while owner[number] != number:
        number = int(owner[number])
    return number


def roots(owner: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return what each piece became part of, in the end.

    Examples
    --------
    >>> roots(np.array([0, 1, 1, 2], np.int32)).tolist()
    [0, 1, 1, 1]
    """
    while not np.array_equal(owner[owner], owner):
        owner = owner[owner]
    return owner
