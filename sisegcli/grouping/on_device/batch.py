"""Grouping of a batch of images whose array work a device does, all images at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sisegcli.grid import sample_cells
from sisegcli.grouping.components import Components
from sisegcli.grouping.group import Found, Grouping, find_objects, finish
from sisegcli.grouping.on_device.refinement import refine_together
from sisegcli.grouping.on_device.votes import cluster_together
from sisegcli.grouping.on_device.walk import walk_together
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.outlines import Draw
from sisegcli.grouping.prompts import Ask
from sisegcli.grouping.spreading import Contest, find_contest, spread_contest, walk_alone
from sisegcli.grouping.wholeness import Judge

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

LEAST = 4096
"""Cells of a batch from which walks go to the device, if there are so many: the walks take some 5,400 operations there,
however large they are, and a processor 4 to 7 µs a cell. An estimate for launches of 4 µs, not measured on a GPU; the
result is the same on both sides of it."""

Looks = tuple[Ask | None, Judge | None, Draw | None]
"""Ways to look at one image again: the networks for membership and wholeness, and the edge refiner."""


def group_together(
    masks: Sequence[NDArray[np.int32]],
    fields: Sequence[tuple[Floats, Floats]],
    options: GroupingOptions,
    device: torch.device,
    *,
    outer: Sequence[Floats | None],
    looks: Sequence[Looks],
    stuff: Collection[int] = (),
    components: Sequence[Components | None] | None = None,
    least: int = LEAST,
) -> list[Grouping]:
    """Turn semantic masks into instances, as `sisegcli.grouping.group.group` does with each.

    The device refines fields, or finds clusters of votes, for all images at once, and lets the objects of all regions
    that hold several walk at once; it is waited for twice, and where names of touching peaks spread.

    Parameters
    ----------
    masks : sequence of (H, W) arrays of int32
        Semantic masks; sizes may differ.
    fields : sequence of tuple
        Displacement and boundary of each image, see `group`.
    options : GroupingOptions
        How to group.
    device : torch.device
        Where to compute; it needs float64.
    outer : sequence of arrays or None
        Boundary as the image alone shows it, or None, for each image.
    looks : sequence of tuple
        Ways to look at each image again.
    stuff : collection of int
        Categories that are one segment each.
    components : sequence of tuple, optional
        The masks' components with this stuff, 4-connected, where they are known.
    least : int
        Cells that have to walk for the device to do it.
    """
    voted = _vote(masks, fields, options, device, stuff)
    found: list[Found] = [
        find_objects(
            mask,
            *field,
            options,
            ask=ask,
            judge=judge,
            stuff=stuff,
            rough=draw is not None,
            components=known,
            voted=votes,
        )
        for mask, field, votes, known, (ask, judge, draw) in zip(
            masks, fields, voted, components or [None] * len(masks), looks, strict=True
        )
    ]
    contests = [find_contest(one.regions, one.allowed, one.objects) for one in found]
    walked = _walk(contests, [one.walls for one in found], options, device, least) if options.refine else {}
    made = []
    for number, one in enumerate(found):
        labels = spread_contest(contests[number], one.regions, one.allowed, walked.get(number))
        made.append(
            finish(
                one,
                labels,
                masks[number],
                fields[number][1],
                options,
                outer=outer[number],
                draw=looks[number][2],
                stuff=stuff,
            )
        )
    return made


def _walk(
    contests: Sequence[Contest | None],
    walls: Sequence[Floats],
    options: GroupingOptions,
    device: torch.device,
    least: int,
) -> dict[int, Floats]:
    """Return what cells hold after the walk, for the images that have a contest."""
    walking = {number: contest for number, contest in enumerate(contests) if contest is not None}
    if sum(int(contest.active.sum()) for contest in walking.values()) < least:
        return {number: walk_alone(contest, walls[number], options) for number, contest in walking.items()}
    held = walk_together(list(walking.values()), [walls[number] for number in walking], options, device)
    return dict(zip(walking, held, strict=True))


def _vote(
    masks: Sequence[NDArray[np.int32]],
    fields: Sequence[tuple[Floats, Floats]],
    options: GroupingOptions,
    device: torch.device,
    stuff: Collection[int],
) -> Sequence[Labels | Floats]:
    cells = [sample_cells(mask) for mask in masks]
    categories = [np.where((grid >= 0) & ~np.isin(grid, list(stuff)), grid, -1) for grid in cells]
    displacements = [displacement for displacement, _ in fields]
    if options.centres == "weak-field":
        return refine_together(displacements, [grid >= 0 for grid in categories], device)
    return cluster_together(
        displacements,
        [boundary for _, boundary in fields],
        categories,
        device,
        sigma=options.sigma,
        peak=options.peak,
        basins=options.basins,
    )
