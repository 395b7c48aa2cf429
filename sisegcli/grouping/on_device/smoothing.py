"""Gaussian smoothing and highest values of a batch of grids, bit by bit as SciPy and `sisegcli.grid` compute them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sisegcli.grouping.on_device.padding import Sizes


def smooth(planes: Tensor, sizes: Sizes, sigma: float, mode: Literal["constant", "reflect"]) -> Tensor:
    """Smooth planes as ``scipy.ndimage.gaussian_filter`` does.

    Parameters
    ----------
    planes : (P, h, w) tensor of float32
        Zero beyond the sizes.
    sizes : Sizes
        Of each plane.
    sigma : float
        Standard deviation, in cells.
    mode : str
        What is beyond a plane: nothing, or its mirror image.

    Returns
    -------
    (P, h, w) tensor of float32
        Beyond the sizes, anything.

    Notes
    -----
    Like SciPy's, sums are of float64 from the middle's summand over the outermost pair to the innermost one, and each
    axis is rounded to float32.
    """
    reach = int(4 * sigma + 0.5)
    if not reach:
        return planes
    weights = _weights(sigma, reach)
    for axis, lengths in ((1, sizes.heights), (2, sizes.widths)):
        size = planes.shape[axis]
        if mode == "constant":
            line = F.pad(planes.double(), (0, 0, reach, reach) if axis == 1 else (reach, reach))
        else:
            line = planes.double().gather(axis, _mirror(size, reach, lengths, axis, planes))
        total = line.narrow(axis, reach, size) * weights[-1]
        for away in range(reach, 0, -1):
            pair = line.narrow(axis, reach - away, size) + line.narrow(axis, reach + away, size)
            total += pair * weights[reach - away]
        planes = total.float()
    return planes


def highest_around(planes: Tensor, reach: int) -> Tensor:
    """Return the highest value in the square of (2 reach + 1)² cells around each cell; put -inf beyond planes."""
    return F.max_pool2d(planes[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]


def _weights(sigma: float, reach: int) -> list[float]:
    bell = np.exp(-0.5 / (sigma * sigma) * np.arange(-reach, reach + 1) ** 2)
    found: list[float] = (bell / bell.sum())[: reach + 1].tolist()
    return found


def _mirror(size: int, reach: int, lengths: Tensor, axis: int, planes: Tensor) -> Tensor:
    """Return where places of a line with `reach` more cells on both sides come from: d c b a | a b c d | d c b a."""
    place = torch.arange(-reach, size + reach, device=planes.device)[None]
    ends = lengths[:, None]
    place = torch.remainder(place, 2 * ends)
    source = torch.where(place < ends, place, 2 * ends - 1 - place)
    source = source[:, :, None] if axis == 1 else source[:, None]
    shape = [*planes.shape]
    shape[axis] = size + 2 * reach
    return source.expand(shape)
