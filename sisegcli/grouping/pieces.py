"""Pieces: what votes make of each region of a mask, and the evidence along the borders between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Ints = NDArray[np.integer[Any]]

NEIGHBOURS = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1, :], np.s_[1:, :]),
)
"""Windows of an array whose equal places are 4-neighbours."""


@dataclass
class Pieces:
    """Connected pieces of one image's regions, and what is known of each; all arrays have one row a piece.

    Attributes
    ----------
    labels : (h, w) array of int32
        Piece of each cell, from 1; 0 is none. Row 0 of the other arrays belongs to no piece.
    region, category : array of ints
        Region (connected component of the mask) and category.
    area : array of float
        Cells.
    centre : (n, 2) array of float
        Mean position (y, x) of the cells.
    vote : (n, 2) array of float
        Mean position (y, x) of the votes.
    spread : array of float
        Standard deviation of the votes about their mean, both axes together.
    """

    labels: Labels
    region: Ints
    category: Ints
    area: NDArray[np.float64]
    centre: NDArray[np.float64]
    vote: NDArray[np.float64]
    spread: NDArray[np.float64]


def find_pieces(
    clusters: Labels, regions: Labels, categories: Ints, displacement: Floats, *, smallest: float = 0.02, least: int = 6
) -> Pieces:
    """Cut regions along the borders of vote clusters.

    Parameters
    ----------
    clusters : (h, w) array of int32
        Vote cluster of each cell, see `cluster_votes`.
    regions : (h, w) array of int32
        Connected component of the mask, from 1; 0 is background.
    categories : (h, w) array of ints
        Category of each cell.
    displacement : (h, w, 2) array of float32
        Refined displacement (y, x), in cells.
    smallest, least : float, int
        A piece below this share of its region, or below so many cells, goes to the piece of its region that it touches
        most.
    """
    pairs = regions.astype(np.int64) * (int(clusters.max(initial=0)) + 1) + clusters
    pairs[regions == 0] = 0
    _, dense = np.unique(pairs, return_inverse=True)
    dense = dense.reshape(pairs.shape) + (0 if (regions == 0).any() else 1)
    labels = cc3d.connected_components(dense.astype(np.uint32), connectivity=4).astype(np.int32)
    labels = _absorb(labels, regions, smallest, least)
    return describe(labels, regions, categories, displacement)


def describe(labels: Labels, regions: Labels, categories: Ints, displacement: Floats) -> Pieces:
    """Gather what is known of each piece; labels must be dense."""
    count = int(labels.max(initial=0)) + 1
    inside = labels > 0
    number = labels[inside]
    area = np.bincount(number, minlength=count).astype(np.float64)
    scale = 1 / np.maximum(area, 1)
    place = np.argwhere(inside).astype(np.float64)
    end = place + displacement[inside]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.bincount(number, v, count) for v in values.T], 1) * scale[:, None]

    centre, vote, square = mean(place), mean(end), mean(end**2)
    spread = np.sqrt(np.maximum(square - vote**2, 0).sum(1))
    region, category = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    region[number], category[number] = regions[inside], categories[inside]
    return Pieces(labels, region, category, area, centre, vote, spread)


def _absorb(labels: Labels, regions: Labels, smallest: float, least: int) -> Labels:
    """Give small pieces to the neighbours in their region that they touch most, smallest first."""
    count = int(labels.max(initial=0)) + 1
    area = np.bincount(labels.ravel(), minlength=count).astype(np.float64)
    area[0] = 0
    region = np.zeros(count, np.int64)
    region[labels.ravel()] = regions.ravel()
    whole = np.bincount(region, area)
    limit = np.maximum(least, smallest * whole[region])
    small = (area > 0) & (area < limit)
    if not small.any():
        return labels
    contacts: list[dict[int, int]] = [{} for _ in range(count)]
    first, second, length, _ = borders(labels, regions, None)
    for a, b, n in zip(first.tolist(), second.tolist(), length.tolist(), strict=True):
        contacts[a][b] = contacts[b][a] = n
    owner = np.arange(count)
    for piece in sorted(np.flatnonzero(small).tolist(), key=lambda p: area[p]):
        if not contacts[piece] or area[piece] >= limit[piece]:
            continue
        target = max(contacts[piece], key=lambda other: (contacts[piece][other], -other))
        owner[piece] = target
        area[target] += area[piece]
        for other, n in contacts[piece].items():
            del contacts[other][piece]
            if other != target:
                contacts[other][target] = contacts[target][other] = contacts[target].get(other, 0) + n
    while not np.array_equal(owner[owner], owner):
        owner = owner[owner]
    _, dense = np.unique(owner, return_inverse=True)
    return dense[labels].astype(np.int32)


def borders(
    labels: Labels, regions: Labels, boundary: Floats | None
) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """Find which pieces touch within a region, for how long, and how strong the boundary is there.

    Parameters
    ----------
    labels, regions : (h, w) arrays of int32
        Pieces, and the regions they are pieces of.
    boundary : (h, w) array of float32, optional
        Probability of a boundary; a contact has the higher value of its two cells.

    Returns
    -------
    first, second : arrays of ints
        Pieces that touch, ``first < second``.
    length : array of ints
        Number of contacts (pairs of 4-neighbours).
    strength : array of float
        Mean boundary over the contacts.
    """
    found_a, found_b, found_s = [], [], []
    for one, other in NEIGHBOURS:
        a, b = labels[one], labels[other]
        touch = (a != b) & (a > 0) & (b > 0) & (regions[one] == regions[other])
        found_a.append(np.minimum(a[touch], b[touch]))
        found_b.append(np.maximum(a[touch], b[touch]))
        if boundary is not None:
            found_s.append(np.maximum(boundary[one][touch], boundary[other][touch]))
    base = int(labels.max(initial=0)) + 1
    keys = np.concatenate(found_a).astype(np.int64) * base + np.concatenate(found_b)
    unique, inverse, length = np.unique(keys, return_inverse=True, return_counts=True)
    strength = np.zeros(len(unique))
    if boundary is not None:
        strength = np.bincount(inverse, np.concatenate(found_s), len(unique)) / np.maximum(length, 1)
    return unique // base, unique % base, length, strength
