"""Grids of several images as one tensor, and the way to a device and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sisegcli.devices import send


@dataclass(frozen=True)
class Sizes:
    """Heights and widths of grids that lie in the upper left corners of one batch.

    Attributes
    ----------
    heights, widths : (N,) tensors of int64
        On the device.
    shape : tuple of int
        Height and width of the batch.
    """

    heights: Tensor
    widths: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, grids: Sequence[NDArray[Any]], device: torch.device) -> Sizes:
        """Take the sizes of grids, arrays (h, w, …), of which there is one at least."""
        sizes = [grid.shape[:2] for grid in grids]
        both = send(torch.tensor(sizes, dtype=torch.int64).T.contiguous(), device)
        return cls(both[0], both[1], (max(h for h, _ in sizes), max(w for _, w in sizes)))

    def inside(self) -> Tensor:
        """Return where grids are, (N, h, w) of bool."""
        rows = torch.arange(self.shape[0], device=self.heights.device)
        columns = torch.arange(self.shape[1], device=self.heights.device)
        within: Tensor = (rows < self.heights[:, None])[:, :, None] & (columns < self.widths[:, None])[:, None]
        return within

    def take(self, numbers: Tensor) -> Sizes:
        """Return the sizes of some grids, of one as often as its number is given."""
        return Sizes(self.heights[numbers], self.widths[numbers], self.shape)


def pad_together(grids: Sequence[NDArray[Any]], device: torch.device, *, fill: float = 0) -> Tensor:
    """Bring grids of one type and of several sizes to a device, in one tensor.

    Parameters
    ----------
    grids : sequence of (h, w, ...) arrays
        One at least.
    device : torch.device
        Where to.
    fill : float
        What is beyond a grid.

    Returns
    -------
    (N, largest h, largest w, ...) tensor

    Examples
    --------
    >>> pad_together([np.array([[1, 2]]), np.array([[3], [4]])], torch.device("cpu")).tolist()
    [[[1, 2], [0, 0]], [[3, 0], [4, 0]]]
    """
    height, width = max(len(grid) for grid in grids), max(grid.shape[1] for grid in grids)
    shape = (len(grids), height, width, *grids[0].shape[2:])
    kind = torch.from_numpy(grids[0][:0].copy()).dtype
    batch = torch.full(shape, fill, dtype=kind, pin_memory=device.type == "cuda")
    held = batch.numpy()
    for number, grid in enumerate(grids):
        held[number, : grid.shape[0], : grid.shape[1]] = grid
    return batch.to(device, non_blocking=True)


def bring_back(*batches: Tensor) -> list[NDArray[Any]]:
    """Copy tensors to the host, and wait for the device once."""
    device = batches[0].device
    if device.type != "cuda":
        return [batch.cpu().numpy() for batch in batches]
    held = [torch.empty(batch.shape, dtype=batch.dtype, pin_memory=True) for batch in batches]
    for there, batch in zip(held, batches, strict=True):
        there.copy_(batch, non_blocking=True)
    torch.cuda.current_stream(device).synchronize()
    return [np.array(there.numpy()) for there in held]  # copies, as pinned memory is scarce
