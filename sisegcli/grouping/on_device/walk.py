"""The random walks of a batch: a stencil over grids in place of a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sisegcli.grouping.affinity import WEAKEST, box_of, half_disc, line
from sisegcli.grouping.on_device.padding import bring_back, pad_together
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.spreading import Contest, hold
from sisegcli.grouping.walk import chebyshev_coefficients

Floats = NDArray[np.float32]


def walk_together(
    contests: Sequence[Contest], boundaries: Sequence[Floats], options: GroupingOptions, device: torch.device
) -> list[Floats]:
    """Let the objects of several images spread over their regions, all at once.

    The same as `sisegcli.grouping.walk.random_walk` on `sisegcli.grouping.affinity.boundary_affinity`, image by image.

    Parameters
    ----------
    contests : sequence of Contest
        What walks.
    boundaries : sequence of (h, w) arrays of float32
        Probability of a boundary.
    options : GroupingOptions
        Radius, exponent and length of the walk.
    device : torch.device
        Where to compute.

    Returns
    -------
    list of (n, k) arrays of float32
        What each active cell holds of each contested object after the walk.
    """
    if not contests:
        return []
    openness, cells, columns, held = [], [], [], []
    for contest, boundary in zip(contests, boundaries, strict=True):
        box = box_of(contest.active)
        shown = np.asarray(boundary, np.float32)[box]
        # Powers of cells are the same on all devices; the lowest of powers is the power of the lowest.
        openness.append(np.clip(1 - shown, 0, 1) ** np.float32(options.beta))
        cells.append(np.where(contest.active, contest.cells, 0)[box].astype(np.int32))
        columns.append(contest.column[box])
        held.append(hold(shown))
    links = link(pad_together(openness, device), pad_together(cells, device), options.radius)
    column = pad_together(columns, device, fill=-1)[:, None]
    labels = torch.arange(max(len(contest.contested) for contest in contests), device=device)
    seeds = torch.where(column == labels[:, None, None], pad_together(held, device)[:, None], 0.0)
    [walked] = bring_back(walk(links, seeds, options.radius, options.steps))
    found = []
    for contest, planes in zip(contests, walked, strict=True):
        active = contest.active[box_of(contest.active)]
        inner = planes[: len(contest.contested), : active.shape[0], : active.shape[1]]
        found.append(np.ascontiguousarray(inner[:, active].T))
    return found


def link(openness: Tensor, cells: Tensor, radius: float) -> Tensor:
    """Link each cell with those after it in raster order, by the least open cell on the line between them.

    Parameters
    ----------
    openness : (R, h, w) tensor of float32
        (1 - boundary) ** beta.
    cells : (R, h, w) tensor of int32
        Region of each cell; 0 does not walk. Only cells of equal region are linked.
    radius : float
        Cells closer than this are linked.

    Returns
    -------
    (m, R, h, w) tensor of float32
        Affinity of each cell with the one at each offset of `half_disc`; 0 is no link.
    """
    height, width = cells.shape[1:]
    offsets = half_disc(radius)
    links = torch.zeros((len(offsets), *cells.shape), device=cells.device)
    for number, (dy, dx) in enumerate(offsets):
        if dy >= height or abs(dx) >= width:
            continue
        left, right = max(-dx, 0), width - max(dx, 0)
        near = cells[:, : height - dy, left:right]
        linked = (near > 0) & (near == cells[:, dy:, left + dx : right + dx])
        along = (openness[:, y : height - dy + y, left + x : right + x] for y, x in line(dy, dx))
        weakest = reduce(torch.minimum, along)
        links[number, :, : height - dy, left:right] = torch.where(linked & (weakest > WEAKEST), weakest, 0.0)
    return links


def walk(links: Tensor, seeds: Tensor, radius: float, steps: int = 256, error: float = 1e-3) -> Tensor:
    """Spread seeds by a random walk, with every cell linked with itself by 1.

    Parameters
    ----------
    links : (m, R, h, w) tensor of float32
        As `link` makes them.
    seeds : (R, K, h, w) tensor of float32
        What each cell holds of each label at first; nothing where no cell walks.
    radius, steps, error : float, int, float
        As in `boundary_affinity` and `random_walk`.

    Returns
    -------
    (R, K, h, w) tensor of float32

    Notes
    -----
    A product with the affinities is a sum over the cells around each cell, in raster order: the order in which SciPy
    adds up the products of a sparse matrix, so that both round alike. Multiplications and additions are operations of
    their own, as one that does both would round once less.
    """
    stencil = _Stencil(links, radius)
    degree = stencil.apply(torch.ones_like(seeds[:, :1]), torch.empty_like(seeds[:, :1]))
    root = degree.double().sqrt().float()  # a processor's root of float32 may be off by its last bit
    stencil.normalise(root)
    coefficients = chebyshev_coefficients(steps, error).astype(np.float32).tolist()
    before = seeds / root
    walked = before * coefficients[0]
    if len(coefficients) > 1:
        now = stencil.apply(before, torch.empty_like(before)) / 2
        walked += now * coefficients[1]
    after = torch.empty_like(before)
    for coefficient in coefficients[2:]:
        after = stencil.apply(now, after)
        after -= before
        before, now, after = now, after, before
        if coefficient:
            walked += now * coefficient
    walked *= root
    return walked


class _Stencil:
    """A symmetric matrix whose rows are the links of cells, as planes of weights; at first the affinities alone."""

    def __init__(self, links: Tensor, radius: float) -> None:
        self._offsets = half_disc(radius)
        self._reach = max((max(dy, abs(dx)) for dy, dx in self._offsets), default=0)
        self._links = F.pad(links, [self._reach] * 4)
        self._own: Tensor | float = 1.0

    def normalise(self, root: Tensor) -> None:
        """Make it twice the affinities, over the roots of both cells' degrees."""
        height, width = root.shape[-2:]
        reach = self._reach
        padded = F.pad(root[:, 0], [reach] * 4, value=1.0)
        for number, (dy, dx) in enumerate(self._offsets):
            there = padded[:, reach + dy : reach + dy + height, reach + dx : reach + dx + width]
            inner = self._links[number, :, reach : reach + height, reach : reach + width]
            inner.copy_(2 * inner / (root[:, 0] * there))
        self._own = 2 * torch.ones_like(root) / (root * root)

    def apply(self, held: Tensor, out: Tensor) -> Tensor:
        """Multiply it with what cells hold, (R, K, h, w)."""
        height, width = held.shape[-2:]
        reach = self._reach
        around = F.pad(held, [reach] * 4)
        product = torch.empty_like(held)
        out.zero_()
        # From the first cell around in raster order to the last one; links of those before are their own.
        for number in range(len(self._offsets) - 1, -1, -1):
            dy, dx = self._offsets[number]
            rows, columns = (
                slice(reach - dy, reach - dy + height),
                slice(reach - dx, reach - dx + width),
            )
            torch.mul(self._links[number, :, None, rows, columns], around[..., rows, columns], out=product)
            out += product
        torch.mul(held, self._own, out=product)
        out += product
        for number, (dy, dx) in enumerate(self._offsets):
            rows, columns = (
                slice(reach + dy, reach + dy + height),
                slice(reach + dx, reach + dx + width),
            )
            inner = self._links[number, :, None, reach : reach + height, reach : reach + width]
            torch.mul(inner, around[..., rows, columns], out=product)
            out += product
        return out

