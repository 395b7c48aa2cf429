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
    A product with the affinities is a sum over the cells around each cell (69 for radius 5), in raster order: the order
    in which SciPy adds up the products of a sparse matrix, so that both round alike. Multiplications and additions are
    operations of their own, as one that does both would round once less.
    """
    ones = torch.ones_like(seeds[:, :1])
    degree = _Product(links, ones, radius, 1)(ones, torch.empty_like(ones))
    root = degree.double().sqrt().float()[:, 0]  # a processor's root of float32 may be off by its last bit
    reach = _reach(radius)
    around = F.pad(root, [reach] * 4, value=1.0)
    there = [_window(around, reach, offset) for offset in half_disc(radius)]
    links = 2 * links / (root * torch.stack(there)) if there else links
    root = root[:, None]
    multiply = _Product(links, 2 * ones / (root * root), radius, seeds.shape[1])

    coefficients = chebyshev_coefficients(steps, error).astype(np.float32).tolist()
    before = seeds / root
    walked: Tensor = before * coefficients[0]
    if len(coefficients) > 1:
        now = multiply(before, torch.empty_like(before)) / 2
        walked += now * coefficients[1]
    after = torch.empty_like(before)
    for coefficient in coefficients[2:]:
        after = multiply(now, after)
        after -= before
        before, now, after = now, after, before
        if coefficient:
            walked += now * coefficient
    walked *= root
    return walked


class _Product:
    """Multiplies what cells hold, (R, K, h, w), with a symmetric matrix.

    Parameters
    ----------
    links : (m, R, h, w) tensor of float32
        The matrix, for each cell and each offset of `half_disc`.
    own : (R, 1, h, w) tensor of float32
        Its diagonal.
    radius : float
        Of the disc.
    labels : int
        K.
    """

    def __init__(self, links: Tensor, own: Tensor, radius: float, labels: int) -> None:
        reach = _reach(radius)
        side = 2 * reach + 1
        images, _, height, width = own.shape
        around = own.new_zeros((images, labels, height + 2 * reach, width + 2 * reach))
        weights = own.new_zeros((side, side, *own.shape))
        weights[reach, reach] = own
        used = {(reach, reach)}
        for number, (dy, dx) in enumerate(half_disc(radius)):
            weights[reach + dy, reach + dx, :, 0] = links[number]
            # A link with a cell before is that cell's link.
            weights[reach - dy, reach - dx, :, 0] = _window(F.pad(links[number], [reach] * 4), reach, (-dy, -dx))
            used |= {(reach + dy, reach + dx), (reach - dy, reach - dx)}
        self._held = _window(around, reach, (0, 0))
        # A row of the window is multiplied at once, then added up: each operation has to be launched.
        self._products = own.new_empty((side, images, labels, height, width))
        self._rows = []
        for row in range(side):
            held = around[:, :, row : row + height].unfold(3, width, 1).permute(3, 0, 1, 2, 4)
            columns = [self._products[column] for column in range(side) if (row, column) in used]
            self._rows.append((weights[row], held, columns))

    def __call__(self, held: Tensor, out: Tensor) -> Tensor:
        """Write the product to `out`, and return it."""
        self._held.copy_(held)
        out.zero_()
        for weights, around, columns in self._rows:
            torch.mul(weights, around, out=self._products)
            for product in columns:
                out += product
        return out


def _reach(radius: float) -> int:
    return max((max(dy, abs(dx)) for dy, dx in half_disc(radius)), default=0)


def _window(padded: Tensor, reach: int, offset: tuple[int, int]) -> Tensor:
    """Return what lies at an offset (y, x) from each cell, of planes with a rim."""
    height, width = (side - 2 * reach for side in padded.shape[-2:])
    top, left = reach + offset[0], reach + offset[1]
    return padded[..., top : top + height, left : left + width]
