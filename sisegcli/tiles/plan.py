"""Where tiles lie: windows that overlap, and cores that share the image out among them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from sisegcli.tiling import Tiling

STEP = 32
"""Windows begin at multiples of this, where they can: networks see the same grid in a tile as in the whole image."""


class Tile(NamedTuple):
    """A tile; slices (rows, columns) are in image pixels.

    Attributes
    ----------
    row, column : int
        Its place in the grid of tiles.
    window : tuple of slice
        What the method sees.
    core : tuple of slice
        What it decides on; the cores of an image cover each pixel once.
    """

    row: int
    column: int
    window: tuple[slice, slice]
    core: tuple[slice, slice]

    @property
    def inner(self) -> tuple[slice, slice]:
        """The core, counted from the window's corner."""
        (rows, columns), (y, x) = self.core, (self.window[0].start, self.window[1].start)
        return slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)


def plan_tiles(size: tuple[int, int], side: int, margin: int) -> list[list[Tile]]:
    """Cut an image into rows of tiles.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image, in pixels.
    side : int
        Side of the windows; an image that is smaller along an axis has one window there.
    margin : int
        Pixels that a window shows beyond its core at least, where the image goes on; below half of `side`.

    Examples
    --------
    >>> [[(tile.window, tile.core) for tile in row] for row in plan_tiles((4, 150), side=100, margin=16)]
    [[((slice(0, 4, None), slice(0, 100, None)), (slice(0, 4, None), slice(0, 75, None))), \
((slice(0, 4, None), slice(50, 150, None)), (slice(0, 4, None), slice(75, 150, None)))]]
    """
    rows, columns = (_axis(length, side, margin) for length in size)
    return [
        [Tile(i, j, (rows[i][0], columns[j][0]), (rows[i][1], columns[j][1])) for j in range(len(columns))]
        for i in range(len(rows))
    ]


def margin_of(tiling: Tiling, side: int) -> int:
    """Return the margin that a method needs in windows of a side: its reach, but no more than a quarter of the side."""
    return max(1, min(side // 4, round(max(tiling.reach, tiling.share * side))))


def _axis(length: int, side: int, margin: int) -> list[tuple[slice, slice]]:
    """Return windows and cores along one axis."""
    if length <= side:
        return [(slice(0, length), slice(0, length))]
    step = side - 2 * margin
    step = step // STEP * STEP or step
    starts = [*range(0, length - side, step), length - side]
    middles = [(before + side + after) // 2 for before, after in pairwise(starts)]
    edges = [0, *middles, length]
    return [(slice(s, s + side), slice(a, b)) for s, (a, b) in zip(starts, pairwise(edges), strict=True)]
