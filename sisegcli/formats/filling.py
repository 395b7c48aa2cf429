"""Polygons back to masks, exactly: by the even-odd rule at the middles of pixels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from sisegcli.instances import Bool

CROSSINGS = 4
"""Times that a polygon may cross rows of pixels, for each pixel of the image; outlines of pixels do so once."""
AT_ONCE = 2**20
"""Crossings that are found at once, so that long edges in great number take no more memory than others."""


def fill_polygons(polygons: Iterable[ArrayLike], size: tuple[int, int]) -> Bool:
    """Return the mask that polygons have.

    Parameters
    ----------
    polygons : iterable of (n, 2) arrays
        Corners (x, y), in pixels from the top left corner of the image; the first one may be repeated. A pixel is
        inside if a line from its middle crosses edges an odd number of times, so that holes may be polygons of their
        own, and slits of no width do nothing.
    size : tuple of int
        Height and width of the image, in pixels.

    Returns
    -------
    (H, W) array of bool

    Raises
    ------
    ValueError
        If a polygon has another shape, corners that are no finite numbers, or far more edges than pixels can tell.

    Examples
    --------
    >>> fill_polygons([[(1, 0), (3, 0), (3, 2), (1, 2)]], (2, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    height, width = size
    changes = np.zeros((height, width + 1), np.uint8)
    for polygon in polygons:
        corners = np.asarray(polygon, np.float64)
        if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
            raise ValueError("a polygon is a list of corners (x, y)")
        following = np.roll(corners, -1, axis=0)
        # Downwards, so that an edge and the same one backwards cross at the very same place.
        order = (corners[:, 1] > following[:, 1])[:, None]
        upper, lower = np.where(order, following, corners), np.where(order, corners, following)
        begin, end = (np.clip(np.ceil(y - 0.5), 0, height).astype(np.int64) for y in (upper[:, 1], lower[:, 1]))
        count = end - begin
        if count.sum() > max(CROSSINGS * changes.size, AT_ONCE):
            raise ValueError("a polygon goes up and down more often than pixels can tell")
        step = max(1, AT_ONCE // max(height, 1))
        for part in (slice(first, first + step) for first in range(0, len(corners), step)):
            edge = np.repeat(np.arange(len(corners))[part], count[part])
            row = begin[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
            (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
            x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
            np.add.at(changes, (row, column), 1)  # modulo 256, which keeps what is even even
    inside: Bool = (np.cumsum(changes, axis=1, dtype=np.uint8)[:, :-1] & 1).astype(bool)
    return inside
