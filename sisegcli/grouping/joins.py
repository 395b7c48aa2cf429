"""Joins: pieces of different regions of a category that are one object, partly hidden."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sisegcli.grouping.nodes import Nodes, root, roots
from sisegcli.grouping.occlusion import find_hidden_links
from sisegcli.grouping.pieces import Pieces

JOIN_ODDS = 3.0
"""Log odds from which membership and votes join two regions."""
PART_ODDS = -5.0
"""Log odds below which membership parts two regions, whatever lies between them."""
LARGE = 12
"""Cells that a piece needs to be the other part of a partly hidden object."""


def join_by_membership(nodes: Nodes, owner: NDArray[np.int32], pieces: Pieces) -> None:
    """Join pieces of different regions that are one object, partly hidden, or that membership and votes call one.

    Parameters
    ----------
    nodes : dict
        Merged pieces.
    owner : (n,) array of int32
        What each piece is part of; changed in place.
    pieces : Pieces
        The pieces.
    """
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
    whole = roots(owner.copy())[pieces.labels]
    categories = np.where(pieces.labels > 0, pieces.category[pieces.labels], -1)
    large: dict[int, list[int]] = {}
    for number, node in nodes.items():
        if node.area >= LARGE:
            large.setdefault(int(pieces.category[number]), []).append(number)
    links = [link for numbers in large.values() for link in find_hidden_links(whole, categories, numbers)]
    hidden = [(gap, a, b) for gap, a, b in links if b not in nodes[a].links or nodes[a].links[b].odds() > PART_ODDS]
    held = _regions_held(nodes, pieces)
    for _, a, b in sorted(hidden) + sorted(found):
        _unite(owner, held, a, b)


def join_by_votes(nodes: Nodes, owner: NDArray[np.int32], pieces: Pieces, join: float, join_size: float) -> None:
    """Join pieces of different regions whose votes meet, the closest first, if no region holds an object twice.

    Parameters
    ----------
    nodes : dict
        Merged pieces.
    owner : (n,) array of int32
        What each piece is part of; changed in place.
    pieces : Pieces
        The pieces.
    join, join_size : float
        See `sisegcli.grouping.evidence.decide`.
    """
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
        held = _regions_held({n: nodes[n] for n in members}, pieces)
        order = sorted(zip(*np.nonzero(np.triu(near)), strict=True), key=lambda p: apart[p] / max(between[p], 1e-9))
        for i, j in order:
            _unite(owner, held, members[i], members[j])


def _regions_held(nodes: Nodes, pieces: Pieces) -> dict[int, set[int]]:
    return {number: {int(pieces.region[number])} for number in nodes}


def _unite(owner: NDArray[np.int32], held: dict[int, set[int]], a: int, b: int) -> None:
    """Make two nodes one object, unless a region would hold it twice."""
    a, b = root(owner, a), root(owner, b)
    if a != b and not held[a] & held[b]:
        owner[max(a, b)] = min(a, b)
        held[min(a, b)] |= held[max(a, b)]
