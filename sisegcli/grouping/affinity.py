"""Affinities of pixel pairs from a boundary map: two pixels belong together where no boundary lies between them."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
Bool = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]
WEAKEST = 1e-9
"""Affinities below this are no links: beside a self-loop of 1 they move nothing, and they slow floats down."""


def boundary_affinity(
    boundary: Floats, active: Bool, radius: float = 5, beta: float = 10.0, same: Ints | None = None
) -> sparse.csr_array:
    """Link each pixel with the pixels around it by the highest boundary on the line between them.

    Parameters
    ----------
    boundary : (h, w) array of float32
        Probability of an object boundary, in [0, 1].
    active : (h, w) array of bool
        Pixels that take part. Boundary on other pixels counts as well where a line crosses them.
    radius : float
        Pixels closer than this are linked (radius 5: up to 68 neighbours), in pixels of this grid.
    beta : float
        Exponent; the higher it is, the closer a weak boundary is to a wall.
    same : (h, w) array of ints, optional
        Label image; only pixels of equal label are linked, so that walks stay within regions.

    Returns
    -------
    (n, n) csr_array of float32
        Affinity (1 - highest boundary on the line, ends included) ** beta of every pair of the n active pixels in
        raster order; symmetric, indices sorted. Each pixel is linked with itself by 1.

    Notes
    -----
    Our choice, after IRNet (Ahn et al., CVPR 2019): radius, exponent, the self-loops and the line, which is every pixel
    less than one pixel away from it, in the box that the two ends span.

    Examples
    --------
    A wall of 1 in the middle of a row, and a weak boundary on its second pixel:

    >>> boundary = np.array([[0, 0.5, 1, 0]], np.float32)
    >>> boundary_affinity(boundary, np.ones((1, 4), bool), beta=1).toarray()
    array([[1. , 0.5, 0. , 0. ],
           [0.5, 1. , 0. , 0. ],
           [0. , 0. , 1. , 0. ],
           [0. , 0. , 0. , 1. ]], dtype=float32)
    """
    n = int(np.count_nonzero(active))
    if not n:
        return sparse.csr_array((0, 0), dtype=np.float32)
    box = box_of(active)
    number = np.full(active.shape, -1, np.int32)
    number[active] = np.arange(n)
    number, active = number[box], active[box]
    openness = np.clip(1 - np.asarray(boundary[box], np.float32), 0, 1)
    height, width = active.shape

    # One column an offset, in raster order, so that the rows of the matrix come out sorted.
    offsets = [(dy, dx) for dy, dx in half_disc(radius) if dy < height and abs(dx) < width]
    middle = len(offsets)
    values = np.zeros((n, 2 * middle + 1), np.float32)
    neighbours = np.zeros((n, 2 * middle + 1), np.int32)
    values[:, middle] = 1
    neighbours[:, middle] = np.arange(n)
    for column, (dy, dx) in enumerate(offsets, start=1):
        left, right = max(-dx, 0), width - max(dx, 0)
        near = np.s_[: height - dy, left:right]
        far = np.s_[dy:, left + dx : right + dx]
        linked = active[near] & active[far]
        if same is not None:
            linked &= same[box][near] == same[box][far]
        along = (openness[y : height - dy + y, left + x : right + x] for y, x in line(dy, dx))
        strength = reduce(np.minimum, along)[linked] ** np.float32(beta)
        sources, targets = number[near][linked], number[far][linked]
        values[sources, middle + column] = values[targets, middle - column] = strength
        neighbours[sources, middle + column] = targets
        neighbours[targets, middle - column] = sources

    kept = values > WEAKEST
    starts = np.concatenate(([0], np.cumsum(np.count_nonzero(kept, axis=1)))).astype(np.int32)
    return sparse.csr_array((values[kept], neighbours[kept], starts), shape=(n, n))


def half_disc(radius: float) -> list[tuple[int, int]]:
    """Return the offsets (y, x) shorter than a radius that come after (0, 0) in raster order.

    Together with their opposites they are all neighbours of a pixel.

    >>> half_disc(2)
    [(0, 1), (1, -1), (1, 0), (1, 1)]
    >>> len(half_disc(5))
    34
    """
    reach = math.ceil(radius) - 1
    return [
        (dy, dx)
        for dy in range(reach + 1)
        for dx in range(-reach, reach + 1)
        if (dy, dx) > (0, 0) and dy * dy + dx * dx < radius * radius
    ]


def line(dy: int, dx: int) -> list[tuple[int, int]]:
    """Return the pixels (y, x) on the line from (0, 0) to (dy, dx), ends included.

    These are all pixels less than one pixel away from the line, so that a wall one pixel thick has no gaps.

    >>> line(0, 3)
    [(0, 0), (0, 1), (0, 2), (0, 3)]
    >>> line(2, 2)
    [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)]
    """
    rows = range(min(dy, 0), max(dy, 0) + 1)
    columns = range(min(dx, 0), max(dx, 0) + 1)
    # |cross product| / length is the distance from the line; squared, to stay with exact integers.
    return [(y, x) for y in rows for x in columns if (dy * x - dx * y) ** 2 < dy * dy + dx * dx]


def box_of(active: Bool) -> tuple[slice, slice]:
    """Return the smallest box that holds all active pixels; lines between them never leave it."""
    rows, columns = np.flatnonzero(active.any(axis=1)), np.flatnonzero(active.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
