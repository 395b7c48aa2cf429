"""The random walk at work: it settles the borders between objects, and moves outer edges where that is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.categories import IGNORE
from sisegcli.grid import STRIDE, sample_cells
from sisegcli.grouping.affinity import boundary_affinity
from sisegcli.grouping.edges import spread_labels
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.walk import random_walk

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
LEAST = 1e-6
"""What a cell holds at least before a walk: on a certain boundary it still is its own."""


def settle_borders(
    regions: Labels, allowed: Mapping[int, list[int]], objects: Labels, boundary: Floats, options: GroupingOptions
) -> Labels:
    """Give each pixel of the image to one of the objects that its region holds.

    In regions with several objects a random walk with affinities from the boundary map spreads them,
    F̄ = Q^U ((1 − B) ∘ F), and each pixel goes to the highest; all other regions need no walk.

    Parameters
    ----------
    regions : (H, W) array of int32
        Connected components of the mask; 0 is background.
    allowed : mapping
        Objects (from 0) that each region holds.
    objects : (h, w) array of int32
        Object + 1 of each cell of the stride-4 grid; 0 where there is none.
    boundary : (h, w) array of float32
        Probability of a boundary.
    options : GroupingOptions
        Radius, exponent and length of the walk, and whether to walk at all.

    Returns
    -------
    (H, W) array of int32
        Object + 1 of each pixel; 0 outside regions.
    """
    contest = find_contest(regions, allowed, objects)
    walked = walk_alone(contest, boundary, options) if contest is not None and options.refine else None
    return spread_contest(contest, regions, allowed, walked)


@dataclass(frozen=True)
class Contest:
    """The regions of an image that hold several objects: what walks there, and from where.

    Attributes
    ----------
    contested : list of int
        Their objects, from 0.
    cells : (h, w) array of int32
        Region of each cell.
    active : (h, w) array of bool
        Cells that walk, n of them.
    column : (h, w) array of int32
        Place of each cell's object among the contested ones; -1 where the cell is not active.
    """

    contested: list[int]
    cells: Labels
    active: NDArray[np.bool_]
    column: Labels

    def start(self, boundary: Floats) -> Floats:
        """Return what the active cells hold of each contested object before the walk, (n, k)."""
        seeds = self.column[self.active][:, None] == np.arange(len(self.contested))
        held: Floats = hold(boundary[self.active])[:, None] * seeds.astype(np.float32)
        return held


def hold(boundary: Floats) -> Floats:
    """Return what cells with so much boundary hold of their object before a walk."""
    held: Floats = np.maximum(1 - boundary, LEAST)
    return held


def find_contest(regions: Labels, allowed: Mapping[int, list[int]], objects: Labels) -> Contest | None:
    """Find the regions that hold several objects; None if no region does. See `settle_borders` for the parameters."""
    contested = sorted({index for indices in allowed.values() if len(indices) > 1 for index in indices})
    if not contested:
        return None
    cells = sample_cells(regions)
    shared = np.isin(cells, [region for region, indices in allowed.items() if len(indices) > 1])
    active = shared & (objects > 0)
    place = np.full(max(int(objects.max(initial=0)), contested[-1] + 1) + 1, -1, np.int32)
    place[np.array(contested) + 1] = np.arange(len(contested))
    column = np.where(active, place[objects], np.int32(-1))
    return Contest(contested, cells, active, column)


def walk_alone(contest: Contest, boundary: Floats, options: GroupingOptions) -> Floats:
    """Return what the active cells of an image hold of each contested object after the walk, (n, k)."""
    affinity = boundary_affinity(boundary, contest.active, options.radius, options.beta, same=contest.cells)
    return random_walk(affinity, contest.start(boundary), options.steps)


def spread_contest(
    contest: Contest | None, regions: Labels, allowed: Mapping[int, list[int]], walked: Floats | None
) -> Labels:
    """Give each pixel to an object of its region: the second half of `settle_borders`.

    Parameters
    ----------
    contest : Contest, optional
        As `find_contest` found it.
    regions, allowed
        As in `settle_borders`.
    walked : (n, k) array of float32, optional
        What active cells hold of each contested object after the walk; without it, each has its own object.
    """
    shape = (-(-regions.shape[0] // STRIDE), -(-regions.shape[1] // STRIDE))
    if contest is None:
        return spread_labels(np.zeros((*shape, 0), np.float32), regions, allowed)
    active = contest.active
    scores = (contest.column[..., None] == np.arange(len(contest.contested))).astype(np.float32)
    if walked is not None:
        scores = np.zeros_like(scores)
        scores[active] = walked / np.maximum(walked.max(1, keepdims=True), 1e-12)
    # Cells beyond the region take the nearest inner cell's scores, so that interpolation does not fade at its edge.
    rows, columns = ndimage.distance_transform_edt(~active, return_distances=False, return_indices=True)
    scores = scores[rows, columns]
    place = {index: number for number, index in enumerate(contest.contested)}
    # Objects that are alone in their region need no scores, only a place behind those that have some.
    for indices in allowed.values():
        for index in indices:
            place.setdefault(index, len(place))
    names = np.array([0, *(index + 1 for index in place)], np.int32)
    places = {region: [place[index] for index in indices] for region, indices in allowed.items()}
    labels: Labels = names.take(spread_labels(scores, regions, places))
    return labels


def grow_edges(
    labels: Labels,
    mask: NDArray[np.int32],
    categories: Mapping[int, int],
    boundary: Floats,
    options: GroupingOptions,
    *,
    stuff: Collection[int] = (),
) -> Labels:
    """Let instances and background compete for the pixels along the edges, by the same walk.

    For masks from a network, whose edges are rough. Only cells near an edge walk; the others keep what they have and
    feed them.

    Parameters
    ----------
    labels : (H, W) array of int32
        Instances, from 1; 0 is nobody.
    mask : (H, W) array of int32
        Semantic mask; ignored pixels stay nobody's.
    categories : mapping
        Category of each label.
    boundary : (h, w) array of float32
        Probability of a boundary, as the image alone shows it.
    options : GroupingOptions
        Radius, exponent and length of the walk.
    stuff : collection of int
        Categories that keep their pixels.
    """
    height, width = labels.shape
    cells = sample_cells(labels)
    fixed = np.isin(mask, [IGNORE, *stuff])
    reach = 4
    grown = ndimage.maximum_filter(cells, 2 * reach + 1)
    shrunk = ndimage.minimum_filter(cells, 2 * reach + 1)
    near = grown != shrunk
    present = np.unique(cells[ndimage.binary_dilation(near, iterations=reach)])
    if len(present) < 2:
        return labels
    active = ndimage.binary_dilation(near, iterations=reach)
    seeds = (cells[active][:, None] == present[None]).astype(np.float32)
    affinity = boundary_affinity(boundary, active, options.radius, options.beta)
    walked = random_walk(affinity, hold(boundary[active])[:, None] * seeds, options.steps)
    scores = np.zeros((*cells.shape, len(present)), np.float32)
    scores[active] = walked / np.maximum(walked.max(1, keepdims=True), 1e-12)
    scores[~active] = cells[~active][:, None] == present[None]
    whole = np.where(fixed, 0, 1).astype(np.int32)
    moved = spread_labels(scores, whole, {1: list(range(len(present)))})
    table = np.concatenate(([0], present)).astype(np.int32)
    band = np.kron(near, np.ones((STRIDE, STRIDE), bool))[:height, :width] & ~fixed
    result: Labels = np.where(band, table[moved], labels).astype(np.int32)
    # An instance that would vanish keeps what it had, and so does one that vanishes by that.
    while len(lost := np.setdiff1d(labels[labels > 0], result)):
        keep = np.isin(labels, lost)
        result[keep] = labels[keep]
    return result
