"""From the network's grid to the stride-4 grid of the image as it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def resample(field: Floats, shape: tuple[int, int], ratio: tuple[float, float]) -> Floats:
    """Sample a field bilinearly on another grid that covers the same picture from the same corner.

    Parameters
    ----------
    field : (h, w, ...) array of float32
        Values in the middles of cells.
    shape : tuple of int
        Height and width of the new grid.
    ratio : tuple of float
        Old cells for each new cell, (y, x).

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
        position = (np.arange(shape[axis]) + 0.5) * ratio[axis] - 0.5
        position = np.clip(position, 0, field.shape[axis] - 1)
        before = position.astype(np.intp)
        after = np.minimum(before + 1, field.shape[axis] - 1)
        weight = (position - before).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(field.ndim)])
        first = field.take(before, axis)
        field = first + weight * (field.take(after, axis) - first)
    return field
