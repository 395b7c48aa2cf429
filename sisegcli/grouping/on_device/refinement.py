"""Iterative refinement of the displacement fields of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sisegcli.grouping.on_device.padding import Sizes, bring_back, pad_together

Floats = NDArray[np.float32]
Bool = NDArray[np.bool_]

PATIENCE = 16
"""Steps between looks at whether anything still moves, each of which waits for the device."""


def refine_together(
    displacements: Sequence[Floats],
    active: Sequence[Bool],
    device: torch.device,
    steps: int = 300,
    tolerance: float = 0.01,
) -> list[Floats]:
    """Let pixels of several fields follow them until they rest.

    The same as `sisegcli.grouping.refinement.refine_displacement`, field by field: every step is made by the same
    operations on float32.

    Parameters
    ----------
    displacements : sequence of (h, w, 2) arrays of float32
        Offset (y, x) of each pixel to the centre of its object, in pixels of this grid; sizes may differ.
    active : sequence of (h, w) arrays of bool
        Pixels to move.
    device : torch.device
        Where to compute.
    steps, tolerance : int, float
        As in `refine_displacement`.

    Returns
    -------
    list of (h, w, 2) arrays of float32
    """
    if not displacements:
        return []
    sizes = Sizes.of(active, device)
    moved = _refine(pad_together(displacements, device), pad_together(active, device), sizes, steps, tolerance)
    [held] = bring_back(moved)
    return [np.ascontiguousarray(held[n, : grid.shape[0], : grid.shape[1]]) for n, grid in enumerate(active)]


def _refine(field: Tensor, active: Tensor, sizes: Sizes, steps: int, tolerance: float) -> Tensor:
    images, height, width = active.shape
    flat = field.reshape(images, -1, 2)
    lengths = [length[:, None, None] for length in (sizes.heights, sizes.widths)]
    start = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=field.device),
        torch.arange(width, dtype=torch.float32, device=field.device),
        indexing="ij",
    )
    y, x = (place.expand(active.shape) for place in start)
    rest = torch.tensor(tolerance, dtype=torch.float32, device=field.device)
    moving = active

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row * width + column).view(images, -1, 1).expand(-1, -1, 2)
        return flat.gather(1, index).view(images, height, width, 2)

    for step in range(steps):
        if step % PATIENCE == 0 and not moving.any():
            break
        top, left = y.long(), x.long()
        down, right = (y - top)[..., None], (x - left)[..., None]
        bottom, beside = (
            torch.minimum(place + 1, length - 1) for place, length in zip((top, left), lengths, strict=True)
        )
        upper = at(top, left)
        upper = upper + right * (at(top, beside) - upper)
        lower = at(bottom, left)
        lower = lower + right * (at(bottom, beside) - lower)
        upper = upper + down * (lower - upper)
        new_y, new_x = (
            torch.minimum((place + upper[..., axis]).clamp(min=0), length - 1)
            for axis, (place, length) in enumerate(zip((y, x), lengths, strict=True))
        )
        # hypot of float32 is rounded once, from float64.
        way = ((new_y - y).double() ** 2 + (new_x - x).double() ** 2).sqrt().float()
        y, x = torch.where(moving, new_y, y), torch.where(moving, new_x, x)
        moving = moving & (way >= rest)
    ends = torch.stack((y - start[0], x - start[1]), 3)
    return torch.where(active[..., None], ends, 0.0)
