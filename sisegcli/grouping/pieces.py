"""Pieces: what votes make of each region of a mask, and the evidence along the borders between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from sisegcli.grouping.components import number_densely

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
    small = pairs.astype(np.uint32 if int(pairs.max(initial=0)) < 2**32 else np.uint64)
    labels = cc3d.connected_components(small, connectivity=4).astype(np.int32)
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
    if not ((area > 0) & (area < limit)).any():
        return labels
    touching: list[dict[int, int]] = [{} for _ in range(count)]
    first, second, length, _ = contacts(labels, region, None)
    for a, b, n in zip(first.tolist(), second.tolist(), length.tolist(), strict=True):
        touching[a][b] = touching[b][a] = n
    owner = np.arange(count)
    for piece in sorted(np.flatnonzero((area > 0) & (area < limit)).tolist(), key=lambda p: area[p]):
        if not touching[piece] or area[piece] >= limit[piece]:
            continue
        target = max(touching[piece], key=lambda other: (touching[piece][other], -other))
        owner[piece] = target
        area[target] += area[piece]
        for other, n in touching[piece].items():
            del touching[other][piece]
            if other != target:
                touching[other][target] = touching[target][other] = touching[target].get(other, 0) + n
    while not np.array_equal(owner[owner], owner):
        owner = owner[owner]
    _, dense = np.unique(owner, return_inverse=True)
    return dense[labels].astype(np.int32)


def contacts(labels: Labels, region: Ints, boundary: Floats | None) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """Find which pieces touch within a region, for how long, and how strong the boundary is there.

    Where thin parts of a region fall through the grid, its parts touch at the cells that are closest, once.

    Parameters
    ----------
    labels : (h, w) array of int32
        Pieces from 1; 0 is none.
    region : (n,) array of ints
        The region that each piece belongs to.
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

    Examples
    --------
    >>> labels = np.array([[1, 2, 3], [1, 2, 3]], np.int32)
    >>> boundary = np.array([[0, 0.5, 0], [0, 1, 0]], np.float32)
    >>> first, second, length, strength = contacts(labels, np.array([0, 1, 1, 2]), boundary)
    >>> first.tolist(), second.tolist(), length.tolist(), strength.tolist()
    ([1], [2], [2], [0.75])
    """
    flat, width = labels.ravel(), labels.shape[1]
    nears, fars = [], []
    for (one, other), step in zip(NEIGHBOURS, (1, width), strict=True):
        rows, columns = np.nonzero(labels[one] != labels[other])
        near = rows * width + columns
        a, b = flat[near], flat[near + step]
        near = near[(a > 0) & (b > 0) & (region[a] == region[b])]
        nears.append(near)
        fars.append(near + step)
    near, far = _gaps(np.where(labels > 0, region[labels], 0))
    differ = flat[near] != flat[far]
    near, far = np.concatenate((*nears, near[differ])), np.concatenate((*fars, far[differ]))
    base = len(region)
    a, b = flat[near].astype(np.int64), flat[far].astype(np.int64)
    keys = np.minimum(a, b) * base + np.maximum(a, b)
    unique, inverse = number_densely(keys)
    length = np.bincount(inverse, minlength=len(unique))
    strength = np.zeros(len(unique))
    if boundary is not None:
        values = np.maximum(boundary.flat[near], boundary.flat[far])
        strength = np.bincount(inverse, values, len(unique)) / np.maximum(length, 1)
    return unique // base, unique % base, length, strength


def _gaps(regions: Ints) -> tuple[Ints, Ints]:
    """Find the shortest links between cells (indices of the flattened grid) that make regions connected."""
    parts = cc3d.connected_components(regions.astype(np.uint32), connectivity=4)
    flat = parts.ravel()
    inside = np.zeros(int(flat.max(initial=0)) + 1, regions.dtype)
    inside[flat] = regions.ravel()  # the region of each part
    holder, count = np.unique(inside[1:], return_counts=True)
    links: list[tuple[int, int]] = []
    for region in holder[count > 1]:
        cells = np.argwhere(regions == region)
        index, part = np.flatnonzero(regions == region), parts[regions == region]
        away, link = np.full(len(cells), np.inf), np.zeros(len(cells), np.int64)
        taken = part == part[0]
        newest = taken
        while not taken.all():  # Prim: the part that is closest to those before is next
            distance, place = KDTree(cells[newest]).query(cells[~taken])
            closer = np.flatnonzero(~taken)[distance < away[~taken]]
            link[closer] = index[newest][place[distance < away[~taken]]]
            away[~taken] = np.minimum(away[~taken], distance)
            closest = int(np.where(taken, np.inf, away).argmin())
            links.append((int(index[closest]), int(link[closest])))
            newest = part == part[closest]
            taken = taken | newest
    pairs = np.array(links, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
