"""Masks as one closed line, for formats that have one polygon an object (YOLO, ADE20K)."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from sisegcli.formats.polygons import instance_polygons
from sisegcli.instances import Instance

Corners = list[tuple[int, int]]


def one_outline(instance: Instance) -> Corners:
    """Return one polygon for all pieces of an instance, holes included.

    Pieces are joined by slits of no width between the corners that are nearest to each other, one piece to all that
    follow, as Ultralytics' converter of COCO files joins them; holes are joined as `mask_polygons` does. By the
    even-odd rule at the middles of pixels, the polygon fills to the very same mask.

    Returns
    -------
    list of (int, int)
        Corners (x, y) on pixel edges, the first one not repeated.

    Examples
    --------
    >>> one_outline(Instance.from_mask(np.array([[1, 0, 1]], bool), category=1))
    [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (2, 1), (2, 0), (1, 0), (1, 1), (0, 1)]
    """
    pieces = [list(zip(polygon[::2], polygon[1::2], strict=True)) for polygon in instance_polygons(instance)]
    whole = pieces.pop() if pieces else []
    while pieces:
        piece = pieces.pop()
        distances, nearest = cKDTree(np.array(whole)).query(np.array(piece))
        leave = int(np.argmin(distances))
        enter = int(nearest[leave])
        around = [*whole[enter:], *whole[: enter + 1]]
        whole = [*piece[: leave + 1], *around, *piece[leave:]]
    return whole
