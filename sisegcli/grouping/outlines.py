"""Outlines drawn anew: what the edge refiner looks at, whether the mask needs it, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.categories import IGNORE
from sisegcli.grid import resample
from sisegcli.grouping.components import Components, count_pixels, label_components
from sisegcli.windows import Window, window_around

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Box = tuple[slice, slice]

LEAST = 150
"""Pixels that an instance needs to be looked at."""
SURROUNDINGS = 1.35
"""Side of a window, in longer sides of the instance."""
WITNESSES = 6
"""Regions whose outlines tell whether an image's mask is rough; the largest ones."""
ROUGH = 1.5
"""Mean log odds of rough outlines from which the mask is. Not 0, as right edges lose more than others win."""


@dataclass(frozen=True)
class Look:
    """An instance to look at.

    Attributes
    ----------
    label : int
        Its label.
    shape : (h', w') array of uint8
        255 on its pixels, in its box.
    corner : tuple of int
        Row and column of the box.
    window : Window
        Where to look, in pixels.
    """

    label: int
    shape: NDArray[np.uint8]
    corner: tuple[int, int]
    window: Window


Draw = Callable[[Sequence[Look]], tuple[Floats, Floats]]
"""Answers looks with logits (N, S, S) of belonging to the instance, and logits (N,) of its outline being rough."""


def choose_looks(labels: Labels, *, passed: Collection[int] = (), most: int | None = None) -> list[Look]:
    """Choose the instances to look at: all but crumbs, largest first.

    Parameters
    ----------
    labels : (H, W) array of int32
        Instances, from 1; 0 is nobody.
    passed : collection of int
        Labels to pass over.
    most : int, optional
        How many at most.
    """
    area = count_pixels(labels, least=1)
    area[0] = 0
    area[list(passed)] = 0
    able = np.flatnonzero(area >= LEAST)
    boxes = ndimage.find_objects(labels)
    looks = []
    for label in able[np.argsort(-area[able], kind="stable")][:most].tolist():
        rows, columns = boxes[label - 1]
        corner, size = (rows.start, columns.start), (rows.stop - rows.start, columns.stop - columns.start)
        shape = (labels[rows, columns] == label) * np.uint8(255)
        looks.append(Look(label, shape, corner, window_around((*corner, *size), SURROUNDINGS)))
    return looks


def looks_rough(
    mask: NDArray[np.int32], draw: Draw, *, stuff: Collection[int] = (), components: Components | None = None
) -> bool:
    """Tell whether a semantic mask is rough, as a network's is, by the outlines of its largest regions.

    Parameters
    ----------
    mask : (H, W) array of int32
        Semantic mask: category ids, `BACKGROUND`, `IGNORE`.
    draw : callable
        The edge refiner.
    stuff : collection of int
        Categories that are no objects.
    components : tuple, optional
        The mask's components with this stuff, 4-connected, where they are known.
    """
    regions, categories = components or label_components(mask, stuff=stuff, connectivity=4)
    passed = [region for region, category in categories.items() if category in stuff]
    looks = choose_looks(regions, passed=passed, most=WITNESSES)
    return bool(looks) and float(draw(looks)[1].mean()) > ROUGH


def redraw_outlines(labels: Labels, mask: NDArray[np.int32], draw: Draw, *, stuff: Collection[int] = ()) -> Labels:
    """Draw the outlines of all instances anew.

    Parameters
    ----------
    labels : (H, W) array of int32
        Instances, from 1; 0 is nobody.
    mask : (H, W) array of int32
        Semantic mask; ignored pixels stay nobody's.
    draw : callable
        The edge refiner.
    stuff : collection of int
        Categories that are one segment each: they take what instances beside them let go of.

    Returns
    -------
    (H, W) array of int32
        The same instances. Each pixel goes to the instance that claims it most, to nobody if none does; no instance
        vanishes.
    """
    segments = np.unique(labels[np.isin(mask, list(stuff)) & (labels > 0)]).tolist() if stuff else []
    looks = choose_looks(labels, passed=segments)
    if not looks:
        return labels
    answers, _ = draw(looks)
    claim, owner = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.int32)
    for look, answer in zip(looks, answers, strict=True):
        box, logits = at_pixels(answer, look.window, labels.shape)
        more = logits > claim[box]
        claim[box][more] = logits[more]
        owner[box][more] = look.label
    asked = np.zeros(int(labels.max()) + 1, bool)
    asked[[look.label for look in looks]] = True
    # Crumbs and stuff, which nobody was asked about, keep what no instance claims.
    drawn: Labels = np.where((owner == 0) & ~asked[labels], labels, owner)
    if segments:
        _fill(drawn, (drawn == 0) & (labels > 0), np.isin(labels, [0, *segments]), labels)
    drawn[mask == IGNORE] = 0
    while len(lost := np.setdiff1d(labels[labels > 0], drawn)):
        back = np.isin(labels, lost)
        drawn[back] = labels[back]
    return drawn


def at_pixels(answer: Floats, window: Window, size: tuple[int, ...]) -> tuple[Box, Floats]:
    """Bring logits of a window to the pixels of the image that it shows.

    Parameters
    ----------
    answer : (S, S) array of float32
        Logits.
    window : Window
        Where they are, in pixels.
    size : tuple of int
        Height and width of the image.

    Returns
    -------
    box : tuple of slice
        The window's part of the image.
    logits : (h, w) array of float32
        Bilinearly interpolated.
    """
    starts = [max(0, int(np.floor(start))) for start in (window.top, window.left)]
    ends = [min(n, int(np.ceil(start + window.side))) for n, start in zip(size, (window.top, window.left), strict=True)]
    cells = len(answer) / window.side
    shape = (max(0, ends[0] - starts[0]), max(0, ends[1] - starts[1]))
    corner = ((starts[0] - window.top) * cells, (starts[1] - window.left) * cells)
    box = (slice(starts[0], starts[0] + shape[0]), slice(starts[1], starts[1] + shape[1]))
    return box, resample(answer, shape, (cells, cells), corner)


def _fill(labels: Labels, holes: NDArray[np.bool_], sources: NDArray[np.bool_], values: Labels) -> None:
    """Give holes the value of the nearest source."""
    if not holes.any() or not sources.any():
        return
    rows, columns = ndimage.distance_transform_edt(~sources, return_distances=False, return_indices=True)
    labels[holes] = values[rows[holes], columns[holes]]
