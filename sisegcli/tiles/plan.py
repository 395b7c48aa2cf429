"""Where tiles lie: windows that overlap, and cores that share the image out among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sisegcli.tiling import Tiling

SEARCHED = 63
"""Pixels by which a tile may begin earlier than it had to, so that it begins on the network's grid."""


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


def plan_tiles(size: tuple[int, int], side: int, margin: int, aligned: Callable[[int], int] = int) -> list[list[Tile]]:
    """Cut an image into rows of tiles.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image, in pixels.
    side : int
        Side of the windows; at the lower and right side of the image they are cut off.
    margin : int
        Pixels that a window shows beyond its core at least, where the image goes on; below half of `side`.
    aligned : callable
        See `Tiling.aligned`.

    Examples
    --------
    >>> [[(tile.window, tile.core) for tile in row] for row in plan_tiles((4, 150), side=100, margin=16)]
    [[((slice(0, 4, None), slice(0, 100, None)), (slice(0, 4, None), slice(0, 84, None))), \
((slice(0, 4, None), slice(68, 150, None)), (slice(0, 4, None), slice(84, 150, None)))]]
    """
    rows, columns = (_axis(length, side, margin, aligned) for length in size)
    return [
        [Tile(i, j, (rows[i][0], columns[j][0]), (rows[i][1], columns[j][1])) for j in range(len(columns))]
        for i in range(len(rows))
    ]


def margin_of(tiling: Tiling, side: int) -> int:
    """Return the margin that a method needs in windows of a side: its reach, but no more than a quarter of the side."""
    return max(1, min(side // 4, round(max(tiling.reach, tiling.share * side))))


def align_to_network(place: int, *, scale: float, step: int) -> int:
    """Return the place, up to `SEARCHED` pixels before a given one, that lies best on a network's coarsest grid.

    Parameters
    ----------
    place : int
        Pixel of the image.
    scale : float
        By which the image is enlarged for the network.
    step : int
        The grid's step, in enlarged pixels.

    Notes
    -----
    Networks are not indifferent to where their grid lies: on the grid of the whole image, what they say in a tile is
    what they say of the image, but for its margins; beside it the difference is ten times as large.

    Examples
    --------
    >>> align_to_network(100, scale=1.0, step=32), align_to_network(350, scale=2.1, step=32)
    (96, 320)
    """
    places = np.arange(max(0, place - SEARCHED), place + 1)
    return int(places[::-1][_off_grid(places[::-1], scale, step).argmin()])


def side_on_grid(side: float, margin: float, *, scale: float, step: int) -> int:
    """Return a side near a given one for tiles that all begin on a network's grid, and that it sees without rounding.

    Parameters
    ----------
    side : float
        Wanted, in pixels.
    margin : float
        Pixels that windows show beyond their cores.
    scale, step : float, int
        See `align_to_network`.

    Examples
    --------
    >>> side_on_grid(600, 46, scale=2.1, step=32), side_on_grid(640, 48, scale=2.0, step=32)
    (740, 640)
    """
    wanted = side - 2 * margin
    cores = np.arange(max(1, round(0.6 * wanted)), round(1.4 * wanted) + 1)
    best = cores[np.lexsort((np.abs(cores - wanted), _off_grid(cores, scale, step)))[0]]
    sides = np.arange(math.ceil(best + 2 * margin), best + 2 * margin + SEARCHED / 2)
    return int(sides[_off_grid(sides, scale, 1).argmin()])


def _off_grid(places: NDArray[Any], scale: float, step: int) -> NDArray[np.float64]:
    """Return how far places are from the grid, in its steps."""
    cells = places * scale / step
    off: NDArray[np.float64] = np.abs(cells - np.rint(cells)).round(6)
    return off


def _axis(length: int, side: int, margin: int, aligned: Callable[[int], int]) -> list[tuple[slice, slice]]:
    """Return windows and cores along one axis."""
    starts, step = [0], side - 2 * margin
    while starts[-1] + side < length:
        further = starts[-1] + step
        start = aligned(further)
        starts.append(start if start > starts[-1] else further)
    stops = [min(start + side, length) for start in starts]
    edges = [0, *((after + stop) // 2 for after, stop in zip(starts[1:], stops[:-1], strict=True)), length]
    return [
        (slice(start, stop), slice(*core)) for start, stop, core in zip(starts, stops, pairwise(edges), strict=True)
    ]
