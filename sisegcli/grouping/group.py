"""The whole of grouping: a mask, a displacement field and a boundary map become labelled instances."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.grid import sample_cells
from sisegcli.grouping.basins import cut_at_ridges
from sisegcli.grouping.components import NEIGHBOURS, Components, label_components, number_densely
from sisegcli.grouping.evidence import decide
from sisegcli.grouping.options import GroupingOptions
from sisegcli.grouping.outlines import Draw, redraw_outlines
from sisegcli.grouping.pieces import find_pieces
from sisegcli.grouping.prompts import Ask, choose_prompts, pair_up
from sisegcli.grouping.refinement import refine_displacement
from sisegcli.grouping.scores import outline_agreement, score_instances
from sisegcli.grouping.spreading import grow_edges, settle_borders
from sisegcli.grouping.votes import cluster_by_density, cluster_by_weak_field
from sisegcli.grouping.wholeness import Judge, Verdicts
from sisegcli.instances import Decision

WALL = 0.5
"""Boundary along a border that was decided by membership, at least."""

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Grouping:
    """Labelled instances.

    Attributes
    ----------
    labels : (H, W) array of int32
        Instance of each pixel, from 1; 0 is nobody.
    categories : dict
        Category id of each label.
    scores : dict
        Score of each label, in [0, 1].
    decisions : list of Decision
        Cuts that were decided on evidence; places are in cells.
    """

    labels: Labels
    categories: dict[int, int]
    scores: dict[int, float]
    decisions: list[Decision] = field(default_factory=list)


def group(
    mask: NDArray[np.int32],
    displacement: Floats,
    boundary: Floats,
    options: GroupingOptions,
    *,
    outer: Floats | None = None,
    ask: Ask | None = None,
    judge: Judge | None = None,
    draw: Draw | None = None,
    stuff: Collection[int] = (),
    components: Components | None = None,
) -> Grouping:
    """Turn a semantic mask into instances by displacement votes and boundaries.

    Parameters
    ----------
    mask : (H, W) array of int32
        Semantic mask: category ids, `BACKGROUND`, `IGNORE`.
    displacement : (h, w, 2) array of float32
        Offset (y, x) to the object's centre, in stride-4 pixels; h = ⌈H / 4⌉, w = ⌈W / 4⌉.
    boundary : (h, w) array of float32
        Probability of an object boundary.
    options : GroupingOptions
        How to group.
    outer : (h, w) array of float32, optional
        Probability of a boundary as the image alone shows it, for ``edges="refine"`` without an edge refiner;
        `boundary` by default.
    ask : callable, optional
        The membership network; without it, votes and boundary decide alone.
    judge : callable, optional
        The wholeness network; it has a say in scores unless the mask is rough.
    draw : callable, optional
        The edge refiner, if the mask is rough.
    stuff : collection of int
        Categories that are one segment each.
    components : tuple, optional
        The mask's components with this stuff, 4-connected, where they are known.
    """
    found = find_objects(
        mask,
        displacement,
        boundary,
        options,
        ask=ask,
        judge=judge,
        stuff=stuff,
        rough=draw is not None,
        components=components,
    )
    labels = settle_borders(found.regions, found.allowed, found.objects, found.walls, options)
    return finish(found, labels, mask, boundary, options, outer=outer, draw=draw, stuff=stuff)


@dataclass(frozen=True)
class Found:
    """Objects on the grid, whose borders are yet to be settled.

    Attributes
    ----------
    regions : (H, W) array of int32
        Connected components of the mask, from 1; 0 is background.
    allowed : dict
        Objects (from 0) that each region holds.
    objects : (h, w) array of int32
        Object + 1 of each cell; 0 where there is none.
    walls : (h, w) array of float32
        What a walk shall not cross.
    categories : dict
        Category id of each label (object + 1).
    evidence, singles, decisions
        What is known of the objects.
    """

    regions: Labels
    allowed: dict[int, list[int]]
    objects: Labels
    walls: Floats
    categories: dict[int, int]
    evidence: NDArray[np.float64]
    singles: dict[int, float] | None
    decisions: list[Decision]


def find_objects(
    mask: NDArray[np.int32],
    displacement: Floats,
    boundary: Floats,
    options: GroupingOptions,
    *,
    ask: Ask | None,
    judge: Judge | None,
    stuff: Collection[int],
    rough: bool,
    components: Components | None = None,
    voted: NDArray[Any] | None = None,
) -> Found:
    """Find the objects of a mask on the grid: the first part of `group`, see there for the parameters.

    With `rough`, outlines will be drawn anew. `voted` is what votes gave already: clusters, cut at ridges, or the
    refined displacement for ``centres="weak-field"``.
    """
    regions, category_of = components or label_components(mask, stuff=stuff, connectivity=4)
    cells = sample_cells(regions)
    categories = _lookup(category_of, -1)[cells]
    things = (cells > 0) & ~np.isin(categories, list(stuff))
    categories = np.where(things, categories, -1)
    decisions: list[Decision] = []
    objects, evidence, singles = _objects(
        np.where(things, cells, 0),
        categories,
        displacement,
        boundary,
        options,
        ask,
        judge,
        decisions,
        rough=rough,
        voted=voted,
    )

    # Objects on the grid, then regions that no cell saw: specks, and stuff.
    allowed: dict[int, list[int]] = {}
    count = int(objects.max(initial=0))
    pairs, _ = number_densely(cells[things].astype(np.int64) * (count + 1) + objects[things])
    for pair in pairs.tolist():
        region, index = divmod(pair, count + 1)
        allowed.setdefault(region, []).append(index - 1)
    owner = {index: category_of[region] for region, indices in allowed.items() for index in indices}
    for region in category_of:
        if region not in allowed:
            owner[count] = category_of[region]
            allowed[region] = [count]
            count += 1
    walls = boundary if ask is None else _raise_walls(boundary, objects, cells)
    labelled = {index + 1: category for index, category in owner.items()}
    return Found(regions, allowed, objects, walls, labelled, evidence, singles, decisions)


def finish(
    found: Found,
    labels: Labels,
    mask: NDArray[np.int32],
    boundary: Floats,
    options: GroupingOptions,
    *,
    outer: Floats | None,
    draw: Draw | None,
    stuff: Collection[int],
) -> Grouping:
    """Draw outlines and give scores, once borders are settled: the last part of `group`, see there for the parameters.

    `labels` holds, for each pixel, its object + 1; 0 is nobody.
    """
    labelled, evidence = found.categories, found.evidence
    if draw is not None:
        labels = redraw_outlines(labels, mask, draw, stuff=stuff)
    elif options.edges == "refine":
        labels = grow_edges(labels, mask, labelled, boundary if outer is None else outer, options, stuff=stuff)
    known = {label: float(evidence[label]) if label < len(evidence) else 1.0 for label in labelled}
    agreement = None
    if options.centres == "density":
        seen = outline_agreement(sample_cells(labels), boundary)
        agreement = {label: float(seen[label]) if label < len(seen) else 1.0 for label in labelled}
    scores = score_instances(
        labels, labelled, known, agreement=agreement, singles=found.singles, stuff=stuff, sized=options.sized
    )
    return Grouping(labels, labelled, scores, found.decisions)


def _objects(
    regions: Labels,
    categories: NDArray[np.integer[Any]],
    displacement: Floats,
    boundary: Floats,
    options: GroupingOptions,
    ask: Ask | None,
    judge: Judge | None,
    decisions: list[Decision],
    *,
    rough: bool,
    voted: NDArray[Any] | None,
) -> tuple[Labels, NDArray[np.float64], dict[int, float] | None]:
    """Return the object of each cell, from 1, the evidence for each, and how probably it is one, if that is known."""
    if options.centres == "weak-field":
        if voted is None:
            voted = refine_displacement(displacement, categories >= 0)
        objects = cluster_by_weak_field(voted, displacement, categories, weak=options.weak)
        return objects, np.ones(int(objects.max(initial=0)) + 1), None
    if voted is None:
        voted = cluster_by_density(displacement, categories, sigma=options.sigma, peak=options.peak)
        if options.basins:
            voted = cut_at_ridges(voted, boundary, sigma=options.basins)
    pieces = find_pieces(voted, regions, categories, displacement)
    pairs = None
    if ask is not None:
        prompts = choose_prompts(pieces)
        pairs = pair_up(pieces, prompts, ask(prompts))
    verdicts = Verdicts(pieces.labels, judge) if judge is not None else None
    owner, evidence = decide(
        pieces,
        boundary,
        cut=options.cut,
        join=options.join,
        join_size=options.join_size,
        pairs=pairs,
        verdicts=verdicts,
        decisions=decisions,
    )
    # Of a rough mask's objects nothing is said: their outlines are yet to be drawn anew.
    singles = None if verdicts is None or rough else verdicts.ones(owner)
    return owner[pieces.labels], evidence, singles


def _raise_walls(boundary: Floats, objects: Labels, cells: NDArray[np.integer[Any]]) -> Floats:
    """Let no walk cross a border that was decided by membership where the boundary map is faint."""
    walls: Floats = boundary.copy()
    for one, other in NEIGHBOURS:
        a, b = objects[one], objects[other]
        border = (a != b) & (a > 0) & (b > 0) & (cells[one] == cells[other])
        for part in (one, other):
            side = walls[part]
            side[border] = np.maximum(side[border], WALL)
    return walls


def _lookup(values: dict[int, int], missing: int) -> NDArray[np.int64]:
    table = np.full(max(values, default=0) + 1, missing, np.int64)
    table[list(values)] = list(values.values())
    return table
