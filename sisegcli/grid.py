"""The stride-4 grid on which fields, maps and objects live: its cells, and ways from one grid to another."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Values = TypeVar("Values", bound=np.generic)

STRIDE = 4
"""Image pixels for each cell of the grid."""


def sample_cells(pixels: NDArray[Values]) -> NDArray[Values]:
    """Take the value in the middle of each cell of an image's grid.

    Parameters
    ----------
    pixels : (H, W) array
        Labels, or other values that have no mean.

    Returns
    -------
    (⌈H / 4⌉, ⌈W / 4⌉) array

    Examples
    --------
    >>> sample_cells(np.arange(12).reshape(2, 6)).tolist()
    [[8, 11]]
    """
    height, width = pixels.shape
    rows = np.minimum(np.arange(0, height, STRIDE) + STRIDE // 2, height - 1)
    columns = np.minimum(np.arange(0, width, STRIDE) + STRIDE // 2, width - 1)
    cells: NDArray[Any] = pixels[np.ix_(rows, columns)]
    return cells


def highest_around(field: NDArray[Values], reach: int) -> NDArray[Values]:
    """Return the highest value in the square of (2 reach + 1)² cells around each cell, as far as there are cells.

    Examples
    --------
    >>> highest_around(np.array([[0, 1, 0, 0, 5]]), 1).tolist()
    [[1, 1, 1, 5, 5]]
    """
    for axis in (0, 1):
        source = np.moveaxis(field, axis, 0)
        field = field.copy()
        highest = np.moveaxis(field, axis, 0)
        for shift in range(1, min(reach, len(source) - 1) + 1):
            np.maximum(highest[shift:], source[:-shift], out=highest[shift:])
            np.maximum(highest[:-shift], source[shift:], out=highest[:-shift])
    return field


def resample(
    field: Floats, shape: tuple[int, int], ratio: tuple[float, float], corner: tuple[float, float] = (0.0, 0.0)
) -> Floats:
    """Sample a field bilinearly on another grid, which covers the same picture from the same corner or another one.

    Parameters
    ----------
    field : (h, w, ...) array of float32
        Values in the middles of cells.
    shape : tuple of int
        Height and width of the new grid.
    ratio : tuple of float
        Old cells for each new cell, (y, x).
    corner : tuple of float
        The new grid's corner, in old cells (y, x).

    Returns
    -------
    (shape[0], shape[1], ...) array of float32
        Constant beyond the outermost middles.

    Examples
    --------
    >>> resample(np.array([[0.0, 4.0]], np.float32), (1, 4), (1.0, 0.5)).tolist()
    [[0.0, 1.0, 3.0, 4.0]]
    """
    for axis in (0, 1):
        position = (np.arange(shape[axis]) + 0.5) * ratio[axis] + corner[axis] - 0.5
        position = np.clip(position, 0, field.shape[axis] - 1)
        before = position.astype(np.intp)
        after = np.minimum(before + 1, field.shape[axis] - 1)
        weight = (position - before).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(field.ndim)])
        first = field.take(before, axis)
        field = first + weight * (field.take(after, axis) - first)
    return field
