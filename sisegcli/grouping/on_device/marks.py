"""Marks on a batch of planes: which of them touch, and which one is nearest to a cell."""

from __future__ import annotations

import torch
from torch import Tensor

LIMIT = 2**24
"""Numbers that are held at once, at most, to find nearest columns."""


def label_marks(marks: Tensor) -> Tensor:
    """Name marks that touch, at corners too, by the first of them in raster order.

    Parameters
    ----------
    marks : (P, h, w) tensor of bool
        Where marks are.

    Returns
    -------
    (P, h, w) tensor of int64
        Index of the first mark that each is connected with, in the flattened batch; P · h · w where there is none.

    Notes
    -----
    Names spread to neighbours, and along the names themselves, until nothing changes: some ten rounds, each of which
    has to wait for the device.

    Examples
    --------
    >>> label_marks(torch.tensor([[[0, 1, 0, 1], [1, 0, 0, 1]]], dtype=torch.bool)).tolist()
    [[[8, 1, 8, 3], [1, 8, 8, 3]]]
    """
    count = marks.numel()
    start = torch.arange(count, device=marks.device).view(marks.shape)
    names = torch.where(marks, start, count)
    parents = torch.arange(count + 1, device=marks.device)
    while True:
        lowest = torch.where(marks, _lowest_around(names, count), count).flatten()
        parents.scatter_reduce_(0, names.flatten(), lowest, "amin")
        parents = parents[parents]
        # A cell's own name may be lower than what its former name points to.
        after = torch.where(marks, torch.minimum(parents[names.flatten()], lowest).view(marks.shape), count)
        if torch.equal(after, names):
            return names
        names = after


def nearest_marks(names: Tensor, none: int) -> Tensor:
    """Return the name of the mark that is nearest to each cell.

    Parameters
    ----------
    names : (P, h, w) tensor of int64
        Names of marks.
    none : int
        The name of cells without a mark; each plane has a mark.

    Returns
    -------
    (P, h, w) tensor of int64
        Of marks that are equally near, the one in the first column is taken, and there the first one, as
        ``scipy.ndimage.distance_transform_edt`` does.

    Examples
    --------
    >>> nearest_marks(torch.tensor([[[9, 9, 9, 9], [9, 4, 9, 7]]]), none=9).tolist()
    [[[4, 4, 4, 7], [4, 4, 4, 7]]]
    """
    planes, height, width = names.shape
    far = height + width
    rows = torch.arange(height, device=names.device)[None, :, None]
    there = names != none
    above = torch.where(there, rows, -far).cummax(1).values
    below = torch.where(there, rows, height + far).flip(1).cummin(1).values.flip(1)
    row = torch.where(rows - above <= below - rows, above, below)
    # Without a mark in its column, farther than any other.
    vertical = (row - rows).clamp(-far, far) ** 2
    columns = torch.arange(width, device=names.device)
    across = (columns[:, None] - columns) ** 2
    chosen = torch.empty_like(names)
    lines, found = vertical.view(-1, 1, width), chosen.view(-1, width)
    step = max(1, LIMIT // max(1, width * width))
    for first in range(0, planes * height, step):
        # Distance first, column second.
        keys = (lines[first : first + step] + across) * width + columns
        torch.remainder(keys.amin(2), width, out=found[first : first + step])
    at = row.gather(2, chosen).clamp(0, max(0, height - 1))
    return names.view(planes, -1).gather(1, (at * width + chosen).view(planes, -1)).view(names.shape)


def _lowest_around(values: Tensor, most: int) -> Tensor:
    """Return the lowest value of each cell and its eight neighbours."""
    for axis in (1, 2):
        lowest = values.clone()
        size = values.shape[axis]
        for to, of in ((1, 0), (0, 1)):
            part = lowest.narrow(axis, to, size - 1)
            torch.minimum(part, values.narrow(axis, of, size - 1), out=part)
        values = lowest
    return values
