"""Iterative refinement of a displacement field: each pixel follows the field until it rests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bool = NDArray[np.bool_]


def refine_displacement(displacement: Floats, active: Bool, steps: int = 300, tolerance: float = 0.01) -> Floats:
    """Let pixels follow the displacement field, D'(x) = D'(x) + D(x + D'(x)), until they rest.

    A network sees far objects' centres badly but knows the direction; many small steps lead there.
    After IRNet (Ahn et al., CVPR 2019), which always makes 300 steps for all pixels.

    Parameters
    ----------
    displacement : (h, w, 2) array of float32
        D: offset (y, x) of each pixel to the centre of its object, in pixels of this grid.
    active : (h, w) array of bool
        Pixels to move; the others only lend their vectors to those that pass.
    steps : int
        The most steps that a pixel makes; one step gives the field itself. Pixels that circle around a centre make
        all of them.
    tolerance : float
        A pixel rests after a step shorter than this, in pixels.

    Returns
    -------
    (h, w, 2) array of float32
        Offset (y, x) from each active pixel to where it rests, inside the grid; zero for the others.

    Notes
    -----
    Between pixels the field is bilinear. A step that would leave the grid ends at its border.

    Examples
    --------
    Pixels of a row that only know in which direction their centre, the third pixel, lies:

    >>> displacement = np.zeros((1, 6, 2), np.float32)
    >>> displacement[0, :, 1] = [1, 1, 0, -1, -1, -1]
    >>> refine_displacement(displacement, np.ones((1, 6), bool))[0, :, 1].tolist()
    [2.0, 1.0, 0.0, -1.0, -2.0, -3.0]
    """
    height, width = active.shape
    refined = np.zeros((height, width, 2), np.float32)
    start = np.argwhere(active)
    if not len(start):
        return refined
    # A vector is one complex number y + ix, so that one gather a corner moves both coordinates;
    # the last row and column are doubled, so that every cell has four corners.
    padded = np.pad(np.asarray(displacement, np.float32), ((0, 1), (0, 1), (0, 0)), mode="edge")
    field = padded.view(np.complex64).ravel()
    row = width + 1
    end = start.astype(np.float32)
    moving = np.arange(len(end))
    y, x = np.ascontiguousarray(end.T)
    for _ in range(steps):
        top, left = y.astype(np.intp), x.astype(np.intp)
        down, right = y - top.astype(np.float32), x - left.astype(np.float32)
        corner = top * row + left
        upper = field[corner]
        upper += right * (field[corner + 1] - upper)
        lower = field[corner + row]
        lower += right * (field[corner + row + 1] - lower)
        upper += down * (lower - upper)
        new_y = np.clip(y + upper.real, 0, height - 1)
        new_x = np.clip(x + upper.imag, 0, width - 1)
        rests = np.hypot(new_y - y, new_x - x) < tolerance
        y, x = new_y, new_x
        if rests.any():
            end[moving[rests]] = np.stack((y[rests], x[rests]), axis=1)
            moves = ~rests
            moving, y, x = moving[moves], y[moves], x[moves]
            if not len(moving):
                break
    end[moving] = np.stack((y, x), axis=1)
    refined[active] = end - start
    return refined
