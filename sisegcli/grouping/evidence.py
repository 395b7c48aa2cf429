"""Decisions on evidence: which borders between pieces part two objects, and which distant pieces are one.

Votes find more candidates than there are objects. A false cut ruins an object whose mask was already right, so a cut
needs evidence: a boundary along the border *and* votes that keep apart, and, where a membership network was asked, its
word. A wholeness network, where there is one, has a veto: it looks at what both would make together. A join needs votes
that meet, and membership's word.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sisegcli.grouping.joins import join_by_membership, join_by_votes
from sisegcli.grouping.nodes import Nodes, make_nodes, merge, neighbours, roots
from sisegcli.grouping.pieces import Pieces
from sisegcli.grouping.prompts import Pairs
from sisegcli.grouping.wholeness import Verdicts
from sisegcli.instances import Decision

Floats = NDArray[np.float32]

SURE = 1.0
"""Log odds of being one object from which the wholeness network has a veto."""


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
    return _less(seen, odds / 2) if odds else seen


def _less(evidence: float, odds: float) -> float:
    """Lower evidence in [0, 1] by log odds."""
    evidence = min(max(evidence, 1e-3), 1 - 1e-3)
    return 1 / (1 + math.exp(min(max(odds, -25.0), 25.0)) * (1 - evidence) / evidence)


def decide(
    pieces: Pieces,
    boundary: Floats,
    *,
    cut: float,
    join: float,
    join_size: float,
    pairs: Pairs | None = None,
    verdicts: Verdicts | None = None,
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
    verdicts : Verdicts, optional
        What the wholeness network says of shapes. Then the evidence for a border that would stay is lowered by the log
        odds, as far as they are above `SURE`, that both pieces together are one object.
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
    nodes = make_nodes(pieces, boundary, pairs)
    owner = np.arange(len(pieces.area), dtype=np.int32)
    made: list[Decision] = []
    kept = _merge(nodes, owner, cut, None, made)
    if verdicts is not None:  # asked about the borders that are left alone
        kept = _merge(nodes, owner, cut, verdicts, made)
    if decisions is not None:
        decisions += made + [_decision(nodes, a, b, evidence, cut) for (a, b), evidence in kept.items()]
    weakest = {
        n: min([_evidence(nodes, n, o, verdicts) for o in node.borders], default=1.0) for n, node in nodes.items()
    }
    if pairs is None:
        join_by_votes(nodes, owner, pieces, join, join_size)
    else:
        join_by_membership(nodes, owner, pieces)
    owner = roots(owner)
    numbers, dense = np.unique(owner[1:], return_inverse=True)
    evidence = np.ones(len(numbers) + 1)
    for piece in nodes:
        place = dense[piece - 1] + 1
        evidence[place] = min(evidence[place], weakest[piece])
    return np.concatenate(([0], dense + 1)).astype(np.int32), evidence


def _evidence(nodes: Nodes, a: int, b: int, verdicts: Verdicts | None) -> float:
    one, other = nodes[a], nodes[b]
    border = one.borders[b]
    apart = one.vote / one.area - other.vote / other.area
    distance = math.sqrt(apart.dot(apart))
    odds = one.links[b].odds() if b in one.links else 0.0
    seen = cut_evidence(border.strength / border.length, distance, one.spread() + other.spread(), odds)
    said = 0.0 if verdicts is None else verdicts.one(one.pieces | other.pieces) - SURE
    return _less(seen, said) if said > 0 else seen


def _merge(
    nodes: Nodes, owner: NDArray[np.int32], cut: float, verdicts: Verdicts | None, made: list[Decision]
) -> dict[tuple[int, int], float]:
    """Merge the pair with the weakest evidence until every border has enough; the lower number survives.

    Returns the evidence for the borders that are left.
    """

    def weigh(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
        if verdicts is not None:
            verdicts.ask([nodes[a].pieces | nodes[b].pieces for a, b in pairs])
        return {(a, b): _evidence(nodes, a, b, verdicts) for a, b in pairs}

    known = weigh(neighbours(nodes))
    while known:
        (a, b), weakest = min(known.items(), key=lambda item: (item[1], item[0]))
        if weakest >= cut:
            break
        made.append(_decision(nodes, a, b, weakest, cut))
        owner[b] = a
        for c in nodes[b].borders:
            del known[min(b, c), max(b, c)]
        merge(nodes, a, b)
        known |= weigh([(min(a, c), max(a, c)) for c in nodes[a].borders])
    return known


def _decision(nodes: Nodes, a: int, b: int, evidence: float, cut: float) -> Decision:
    kept = evidence >= cut
    doubt = (1 - evidence) / max(1 - cut, 1e-9) if kept else evidence / cut
    (ay, ax), (by, bx) = (map(float, nodes[n].place / nodes[n].area) for n in (a, b))
    return Decision(kept, doubt, (ay, ax), (by, bx))
