"""Masks as polygons on exact pixel edges, holes included."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sisegcli.instances import Bool, Instance


def instance_polygons(instance: Instance) -> list[list[int]]:
    """Return COCO polygons of an instance, in image coordinates; see `mask_polygons`.

    Examples
    --------
    >>> instance_polygons(Instance.from_mask(np.array([[0, 0, 0], [0, 1, 1]], bool), category=5))
    [[1, 1, 3, 1, 3, 2, 1, 2]]
    """
    return mask_polygons(instance.crop(), instance.box[:2])


def mask_polygons(mask: Bool, offset: tuple[int, int] = (0, 0)) -> list[list[int]]:
    """Trace a mask into one polygon for every 4-connected piece.

    Parameters
    ----------
    mask : (H, W) array of bool
        Any mask; an empty one gives no polygon.
    offset : tuple of int
        Position (y, x) of the mask's first pixel, in pixels.

    Returns
    -------
    list of list of int
        Corners ``[x1, y1, x2, y2, ...]``, clockwise on the screen, pixel (y, x) covering the square from (y, x) to
        (y + 1, x + 1).

    Notes
    -----
    Corners are the vertices of the pixel grid with an odd number of mask pixels around them, and saddles (two pixels
    across a diagonal) are two corners. Sorted along a grid line, corners pair up into the edges of that line, so two
    sorts give every edge and the successor of every corner.

    A COCO polygon cannot have a hole, so each hole is joined by a slit of no width, straight up from its topmost
    corner to the next edge above. pycocotools fills by the even-odd rule at the centres of columns, which neither
    integer corners nor vertical slits touch: the polygons rasterise to the very same mask.

    Examples
    --------
    >>> mask_polygons(np.array([[1, 1], [1, 0]], bool))
    [[0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 0, 2]]
    """
    padded = np.pad(mask, 1)
    place, pixel, following = trace(padded)
    if not place.size:
        return []
    stride = mask.shape[1] + 1
    y, x = np.divmod(place, stride)
    successors: list[int] = following.tolist()
    outlines: list[int] = []
    holes: list[tuple[int, int, int, int, int]] = []  # edge above, column, row of the edge, first corner, last corner
    seen = bytearray(len(place))
    for first in range(len(place)):
        if seen[first]:
            continue
        corner = last = first
        while not seen[corner]:
            seen[corner] = 1
            last, corner = corner, successors[corner]
        # The first corner of a loop is its topmost and leftmost.
        if pixel[first]:
            outlines.append(first)
        else:
            row, column = int(y[first]), int(x[first])
            row -= int(np.argmin(padded[row::-1, column + 1]))
            edge = 2 * int(np.searchsorted(place[::2], row * stride + column, side="right")) - 2
            holes.append((edge, column, row, first, last))

    xs, ys = (x + offset[1]).tolist(), (y + offset[0]).tolist()
    ends: dict[int, int] = {}
    for edge, column, row, first, last in sorted(holes):
        before = ends.get(edge, edge)
        after = successors[before]
        up, back = len(xs), len(xs) + 1
        xs += [column + offset[1], xs[first], column + offset[1]]
        ys += [row + offset[0], ys[first], row + offset[0]]
        successors += [first, up + 2, after]
        successors[last] = back
        if (xs[before], ys[before]) == (xs[up], ys[up]):
            up = before
        else:
            successors[before] = up
        successors[up] = first
        ends[edge] = back + 1

    polygons = []
    for first in outlines:
        corner = first
        polygon = []
        while True:
            polygon += [xs[corner], ys[corner]]
            corner = successors[corner]
            if corner == first:
                break
        polygons.append(polygon)
    return polygons


def trace(padded: Bool) -> tuple[NDArray[np.int64], Bool, NDArray[np.int64]]:
    """Find the corners of a mask's outlines and holes, and the successor of each.

    Parameters
    ----------
    padded : (H + 2, W + 2) array of bool
        The mask with a rim of False.

    Returns
    -------
    place : (n,) array of int64
        Corners in raster order: y (W + 1) + x, for the corner at the upper left of pixel (y, x).
    pixel : (n,) array of bool
        Whether the pixel at the lower right of a corner is in the mask; of the first corner of a loop, it tells
        outlines from holes.
    following : (n,) array of int64
        Index of the next corner; the mask lies on the right of the way there.
    """
    nw, ne, sw, se = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    saddle = (nw == se) & (ne == sw) & (nw != ne)
    count = ((nw ^ ne ^ sw ^ se) + 2 * saddle).ravel()
    place = np.flatnonzero(count)
    place = np.repeat(place, count[place])
    stride = padded.shape[1] - 1
    y, x = np.divmod(place, stride)
    # The first corner of a saddle ends the edge at its left, the second starts the edge at its right; which of them
    # continues downwards depends on the diagonal, so that corners stay with their pixel (4-connectivity).
    second = np.append(False, place[1:] == place[:-1])
    downwards = second ^ (saddle & ne).ravel()[place]
    columnwise = np.lexsort((downwards, y, x))
    pixel = se.ravel()[place]

    # Edges keep the mask on their right: towards the right and upwards where the pixel south-east of them is in it.
    following = np.empty(len(place), np.int64)
    for start, end, forwards in (
        (np.arange(0, len(place), 2), np.arange(1, len(place), 2), True),
        (columnwise[1::2], columnwise[::2], False),
    ):
        inside = pixel[start if forwards else end]
        following[np.where(inside, start, end)] = np.where(inside, end, start)
    return place, pixel, following
