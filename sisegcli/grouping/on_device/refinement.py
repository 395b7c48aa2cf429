"""Iterative refinement of the displacement fields of a batch."""

from __future__ import annotations

from collections.abc import Sequence

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
    last = torch.stack((sizes.heights, sizes.widths), 1)[:, None, None] - 1
    rows = torch.arange(height, dtype=torch.float32, device=field.device)
    columns = torch.arange(width, dtype=torch.float32, device=field.device)
    start = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), 2)[None]
    place, moving = start, active
    # Both coordinates, and all four corners of a cell, go through an operation together, as each has to be launched.
    for step in range(steps):
        if step % PATIENCE == 0 and not moving.any():
            break
        corner = place.long()
        inner = place - corner
        beyond = torch.minimum(corner + 1, last)
        ends = torch.stack((corner.expand_as(beyond), beyond), 1)
        index = (ends[:, :, None, ..., 0] * width + ends[:, None, ..., 1]).view(images, -1, 1)
        around = flat.gather(1, index.expand(-1, -1, 2)).view(images, 2, 2, height, width, 2)
        left, right = around.unbind(2)
        upper, lower = (left + inner[:, None, ..., 1:] * (right - left)).unbind(1)
        step_to = upper + inner[..., :1] * (lower - upper)
        new = torch.minimum((place + step_to).clamp(min=0), last)
        # A length of float32 is rounded once, from float64.
        way = (new - place).double()
        way = (way * way).sum(3).sqrt().float()
        place = torch.where(moving[..., None], new, place)
        moving = moving & (way >= tolerance)
    return torch.where(active[..., None], place - start, 0.0)
