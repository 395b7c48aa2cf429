"""Clusters of votes, and basins of the boundary map, of a batch of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sisegcli.grouping.basins import cut_at_basins
from sisegcli.grouping.on_device.marks import label_marks, nearest_marks
from sisegcli.grouping.on_device.padding import Sizes, bring_back, pad_together
from sisegcli.grouping.on_device.smoothing import highest_around, smooth

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Ints = NDArray[np.integer[Any]]


def cluster_together(
    displacements: Sequence[Floats],
    boundaries: Sequence[Floats],
    categories: Sequence[Ints],
    device: torch.device,
    *,
    sigma: float,
    peak: float,
    basins: float,
) -> list[Labels]:
    """Group the pixels of images by peaks of votes and, if that is wanted, cut clusters at ridges.

    The same as `sisegcli.grouping.votes.cluster_by_density` and `sisegcli.grouping.basins.cut_at_ridges`, image by
    image: every value is made by the same operations, and of equal ones the same is taken.

    Parameters
    ----------
    displacements : sequence of (h, w, 2) arrays of float32
        Offset (y, x) from each pixel to the centre of its object, in pixels of this grid; sizes may differ.
    boundaries : sequence of (h, w) arrays of float32
        Probability of a boundary.
    categories : sequence of (h, w) arrays of ints
        Category of each pixel; below 0 takes no part.
    device : torch.device
        Where to compute; it needs float64.
    sigma, peak : float
        As in `cluster_by_density`.
    basins : float
        Width of the Gaussian that smooths the boundary, in pixels; 0: clusters are not cut.

    Returns
    -------
    list of (h, w) arrays of int32
        Candidate objects from 1; 0 where no pixel takes part.
    """
    planes, owners = _planes(categories)
    if not owners:
        return [np.zeros(grid.shape, np.int32) for grid in categories]
    sizes = Sizes.of(categories, device)
    owner = torch.tensor(owners, device=device)
    where = pad_together(planes, device, fill=-1)
    found = density_clusters(pad_together(displacements, device), where, owner, sizes, sigma=sigma, peak=peak)
    shapes = [grid.shape for grid in categories]
    if not basins:
        [clusters] = bring_back(found)
        return [clusters[number, :h, :w] for number, (h, w) in enumerate(shapes)]
    heights, markers = ridges(found > 0, pad_together(boundaries, device), sizes, sigma=basins)
    held = bring_back(found, heights, markers)
    cut = []
    for number, (h, w) in enumerate(shapes):
        clusters, height, marked = (np.ascontiguousarray(batch[number, :h, :w]) for batch in held)
        cut.append(cut_at_basins(clusters, height, marked) if marked.any() else clusters)
    return cut


def density_clusters(
    displacement: Tensor, planes: Tensor, owner: Tensor, sizes: Sizes, *, sigma: float, peak: float
) -> Tensor:
    """Group pixels by the nearest peak of the density of their category's votes.

    Parameters
    ----------
    displacement : (N, h, w, 2) tensor of float32
        Offsets (y, x).
    planes : (N, h, w) tensor of int32
        Plane of each pixel: a number for each category of each image, in this order; -1 takes no part.
    owner : (P,) tensor of int64
        Image of each plane.
    sizes : Sizes
        Of the images.
    sigma, peak : float
        See `cluster_together`.

    Returns
    -------
    (N, h, w) tensor of int32
        Clusters of each image, from 1; 0 where no pixel takes part.
    """
    images, height, width = planes.shape
    cells, device = height * width, planes.device
    count = len(owner) * cells
    counted = planes >= 0
    ends = []
    for axis, lengths in ((0, sizes.heights), (1, sizes.widths)):
        places = torch.arange(planes.shape[1 + axis], device=device).view((-1, 1) if axis == 0 else (1, -1))
        end = (displacement[..., axis].double() + places).round().long()
        ends.append(torch.minimum(end.clamp(min=0), lengths[:, None, None] - 1))
    # One place more, for those that take no part.
    target = torch.where(counted, planes.long() * cells + ends[0] * width + ends[1], count).flatten()
    votes = torch.zeros(count + 1, device=device).scatter_add_(0, target, torch.ones_like(target, dtype=torch.float32))
    of_planes = sizes.take(owner)
    density = smooth(votes[:count].view(-1, height, width), of_planes, sigma, "constant")
    density = torch.where(of_planes.inside(), density, -torch.inf)
    summits = (density == highest_around(density, max(1, round(sigma)))) & (
        density >= peak * density.amax((1, 2), keepdim=True)
    )
    near = nearest_marks(label_marks(summits), none=count).flatten()
    chosen = torch.cat((near, near.new_full((1,), count)))[target]
    used = torch.zeros(count + 1, dtype=torch.bool, device=device)
    used[chosen] = True
    used[count] = False
    rank = used.cumsum(0)
    # Numbers go on from one category of an image to the next, and begin anew with the next image.
    first = torch.searchsorted(owner, torch.arange(images, device=device)) * cells
    before = torch.cat((rank.new_zeros(1), rank))[first]
    return torch.where(counted, rank[chosen].view(planes.shape) - before[:, None, None], 0).int()


def ridges(inside: Tensor, boundary: Tensor, sizes: Sizes, *, sigma: float) -> tuple[Tensor, Tensor]:
    """Find the minima of the smoothed boundary map inside clusters, from which basins are filled.

    Parameters
    ----------
    inside : (N, h, w) tensor of bool
        Where clusters are.
    boundary : (N, h, w) tensor of float32
        Probability of a boundary.
    sizes : Sizes
        Of the images.
    sigma : float
        Width of the Gaussian that smooths it.

    Returns
    -------
    height : (N, h, w) tensor of uint8
        Smoothed boundary, 254 for 1; 255 outside clusters.
    markers : (N, h, w) tensor of int32
        Minima, those of each image from 1; 0 elsewhere.
    """
    low = torch.where(inside, smooth(boundary, sizes, sigma, "reflect"), torch.inf)
    minima = (low == -highest_around(-low, max(1, round(2 * sigma)))) & inside
    names = label_marks(minima)
    count = names.numel()
    firsts = names.flatten() == torch.arange(count, device=names.device)
    # Minima up to each cell, itself included; the place of those that are none is behind all.
    rank = F.pad(firsts.cumsum(0), (1, 1))
    before = rank[: count : names[0].numel()]
    markers = torch.where(minima, rank[1:][names.flatten()].view(names.shape) - before[:, None, None], 0)
    height = torch.where(inside, low.clamp(0, 1) * 254, 255.0).to(torch.uint8)
    return height, markers.int()


def _planes(categories: Sequence[Ints]) -> tuple[list[Labels], list[int]]:
    """Return a number for each category of each image, at its pixels (-1: none), and each number's image."""
    planes: list[Labels] = []
    owners: list[int] = []
    for image, grid in enumerate(categories):
        plane = np.full(grid.shape, -1, np.int32)
        for category in np.unique(grid[grid >= 0]):
            plane[grid == category] = len(owners)
            owners.append(image)
        planes.append(plane)
    return planes, owners
