"""Masks as polygons with holes, for formats that have them (GeoJSON)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sisegcli.formats.polygons import trace
from sisegcli.instances import Bool

Ring = list[list[int]]


def mask_rings(mask: Bool, offset: tuple[int, int] = (0, 0)) -> list[list[Ring]]:
    """Trace a mask into one polygon for every 4-connected piece: its outline, then its holes.

    Parameters
    ----------
    mask : (H, W) array of bool
        Any mask; an empty one gives no polygon.
    offset : tuple of int
        Position (y, x) of the mask's first pixel, in pixels.

    Returns
    -------
    list of list of list
        For every piece, rings of corners ``[x, y]``, the first one again at the end; outlines turn counterclockwise and
        holes clockwise, if y were upwards (RFC 7946).

    Notes
    -----
    No ring passes a corner twice, so that polygons are valid: where a loop touches itself, it is parted there in an
    outline and a hole, or in two holes.

    Examples
    --------
    >>> mask_rings(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool))
    [[[[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]], [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]]]]
    """
    place, _, following = trace(np.pad(mask, 1))
    if not place.size:
        return []
    stride = mask.shape[1] + 1
    corners: list[int] = place.tolist()
    successors: list[int] = following.tolist()
    pieces, count = ndimage.label(mask)
    polygons: list[list[Ring]] = [[] for _ in range(count)]
    holes: list[tuple[int, Ring]] = []
    seen = bytearray(len(corners))
    for first in range(len(corners)):
        if seen[first]:
            continue
        loop = []
        corner = first
        while not seen[corner]:
            seen[corner] = 1
            loop.append(corners[corner])
            corner = successors[corner]
        for ring in _simple(loop):
            top = min(ring)  # the topmost and leftmost corner
            y, x = divmod(top, stride)
            points = [[c % stride + offset[1], c // stride + offset[0]] for c in [*ring, ring[0]]]
            if _turn(ring, stride) > 0:
                polygons[pieces[y, x] - 1].insert(0, points)
            else:
                holes.append((int(pieces[y - 1, x]), points))
    for piece, hole in holes:
        polygons[piece - 1].append(hole)
    return polygons


def _simple(loop: list[int]) -> list[list[int]]:
    """Part a loop of corners at those that it passes twice."""
    found: list[list[int]] = []
    way: list[int] = []
    position: dict[int, int] = {}
    for corner in loop:
        if corner in position:
            start = position[corner]
            found.append(way[start:])
            for gone in way[start:]:
                del position[gone]
            del way[start:]
        position[corner] = len(way)
        way.append(corner)
    return [*found, way]


def _turn(ring: list[int], stride: int) -> int:
    """Return twice the area of a ring; positive where it turns from x to y."""
    points = [(c % stride, c // stride) for c in ring]
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True))
