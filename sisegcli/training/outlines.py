"""Rough outlines with known answers for the edge refiner: objects as a network of low resolution would predict them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sisegcli.network.asking import GREY
from sisegcli.training.pairs import IGNORED
from sisegcli.windows import WINDOW, cut_window, window_around

Labels = NDArray[np.int32]
Floats = NDArray[np.float32]

SMALLEST = 150
"""Pixels that an object needs to be asked about."""
LEAST = 40
"""Pixels of a window that its rough shape needs."""
EXACT = 0.35
"""Share of outlines that stay as they were drawn, so that the refiner learns to tell them from rough ones."""
STRAY = 0.3
"""Share of coarse shapes that lose stray pixels along their outline, to specks of other categories."""
SIDE = WINDOW // 2
"""Cells along the side of an answer."""
REACH = 10
"""Pixels of the window, around both outlines, that count in full; the others count a seventh."""
MOST = 8
"""Labels of a window that are made coarse; smaller ones vanish."""


@dataclass(frozen=True)
class Outlines:
    """K rough instances.

    Attributes
    ----------
    windows : (K, WINDOW, WINDOW, 3) array of uint8
        What is seen.
    things, instances : (K, WINDOW, WINDOW) arrays of uint8
        255 on rough things, and on the rough instance.
    inside : (K, WINDOW / 2, WINDOW / 2) array of float32
        The answer: share of each cell that is the object's.
    importance : (K, WINDOW / 2, WINDOW / 2) array of float32
        How much each cell counts.
    rough : (K,) array of float32
        1 where the outline was made coarse, 0 where it is as it was drawn.
    """

    windows: NDArray[np.uint8]
    things: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    inside: Floats
    importance: Floats
    rough: Floats


def ask_outlines(image: NDArray[np.uint8], labels: Labels, count: int, rng: np.random.Generator) -> Outlines:
    """Make rough instances of the objects of a picture; where there are too few, importance is 0.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        The picture.
    labels : (H, W) array of int32
        Objects from 1; 0 is background, -1 ignored.
    count : int
        Number of instances.
    rng : numpy.random.Generator
        Chance.
    """
    outlines = Outlines(
        np.full((count, WINDOW, WINDOW, 3), GREY, np.uint8),
        np.zeros((count, WINDOW, WINDOW), np.uint8),
        np.zeros((count, WINDOW, WINDOW), np.uint8),
        np.zeros((count, SIDE, SIDE), np.float32),
        np.zeros((count, SIDE, SIDE), np.float32),
        np.zeros(count, np.float32),
    )
    areas = np.bincount(np.maximum(labels, 0).ravel())
    areas[0] = 0
    able = np.flatnonzero(areas >= SMALLEST)
    if not len(able):
        return outlines
    odds = np.minimum(1.0, areas[able] / 600)
    boxes = ndimage.find_objects(np.maximum(labels, 0))
    for number, label in enumerate(rng.choice(able, count, p=odds / odds.sum()).tolist()):
        _ask(outlines, number, image, labels, label, boxes[label - 1], rng)
    return outlines


def _ask(
    outlines: Outlines,
    number: int,
    image: NDArray[np.uint8],
    labels: Labels,
    label: int,
    box: tuple[slice, slice],
    rng: np.random.Generator,
) -> None:
    rows, columns = box
    size = (rows.stop - rows.start, columns.stop - columns.start)
    window = window_around((rows.start, columns.start, *size), float(rng.uniform(1.1, 1.7)))
    shift = rng.normal(0, 0.04, 2) * window.side
    window = window.moved(float(shift[0]), float(shift[1]))
    near = cut_window(labels, window, fill=IGNORED, smooth=False)
    exact = rng.random() < EXACT
    rough = near if exact else coarsen(near, label, rng)
    true, shape = near == label, rough == label
    if not exact and rng.random() < STRAY:
        noise = np.kron(rng.random((SIDE, SIDE)), np.ones((2, 2)))
        shape &= (ndimage.distance_transform_cdt(np.pad(shape, 1))[1:-1, 1:-1] > 2) | (noise > rng.uniform(0, 0.6))
    if min(np.count_nonzero(true), np.count_nonzero(shape)) < LEAST:
        return
    distance = ndimage.distance_transform_edt(~(_outline(true) | _outline(shape)))
    importance = np.where(distance <= REACH, 1.0, 0.15) * (near != IGNORED)
    step = -1 if rng.random() < 0.5 else 1  # mirrored
    outlines.windows[number] = cut_window(image, window, fill=GREY, smooth=True)[:, ::step]
    outlines.things[number] = np.where(rough > 0, 255, 0)[:, ::step]
    outlines.instances[number] = np.where(shape, 255, 0)[:, ::step]
    outlines.inside[number] = _halve(true)[:, ::step]
    outlines.rough[number] = 0.0 if exact else 1.0
    outlines.importance[number] = _halve(importance)[:, ::step]


def coarsen(labels: Labels, label: int, rng: np.random.Generator) -> Labels:
    """Return labels as a network of low resolution would give them.

    Every label becomes a map of low resolution, with noise that is smooth over several cells, and each pixel takes the
    label whose map is highest there. Sometimes a part is missed or too much is taken, sometimes the result is sampled
    at a resolution between.

    Parameters
    ----------
    labels : (S, S) array of int32
        Objects from 1; 0 is background, -1 ignored, and stays so.
    label : int
        The object that is looked at.
    rng : numpy.random.Generator
        Chance.
    """
    side = len(labels)
    present, count = np.unique(labels[labels >= 0], return_counts=True)
    kept = [other for other in present[np.argsort(-count)].tolist() if other != label][: MOST - 1]
    cell = float(np.exp(rng.uniform(np.log(2.5), np.log(22))))
    noise, blur = float(rng.uniform(0, 0.22)), float(rng.uniform(0.3, 1))
    missed, patch = float(rng.uniform(0, 0.35)) if rng.random() < 0.35 else 0.0, float(rng.uniform(16, 40))
    bias = float(rng.normal(0, 0.08))
    small = max(3, int(side / cell))
    highest, rough = np.full(labels.shape, -np.inf, np.float32), np.zeros(labels.shape, np.int32)
    for other in [*kept, label]:
        part = Image.fromarray((labels == other).astype(np.float32)).resize((small, small), Image.Resampling.BOX)
        if rng.random() < 0.5:
            part = Image.fromarray(ndimage.gaussian_filter(np.asarray(part), blur))
        kind = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        score = np.asarray(part.resize((side, side), kind))
        score = score + noise * _smooth_noise(side, max(cell, 5.0) * float(rng.uniform(0.7, 2)), rng)
        if missed:
            score = score + missed * _smooth_noise(side, patch, rng)
        if other == label:
            score = score + bias
        rough[score > highest] = other
        highest = np.maximum(highest, score)
    if rng.random() < 0.4:
        between = max(8, int(side / rng.uniform(1, 3)))
        sampled = Image.fromarray(rough).resize((between, between), Image.Resampling.NEAREST)
        rough = np.asarray(sampled.resize((side, side), Image.Resampling.NEAREST))
    return np.where(labels == IGNORED, np.int32(IGNORED), rough)


def _smooth_noise(side: int, cell: float, rng: np.random.Generator) -> Floats:
    count = max(2, int(side / cell) + 1)
    noise = Image.fromarray(rng.normal(0, 1, (count, count)).astype(np.float32))
    return np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC))


def _outline(shape: NDArray[np.bool_]) -> NDArray[np.bool_]:
    edge = np.zeros(shape.shape, bool)
    edge[1:] |= shape[1:] != shape[:-1]
    edge[:, 1:] |= shape[:, 1:] != shape[:, :-1]
    return edge


def _halve(values: NDArray[np.generic]) -> Floats:
    """Average squares of 2 × 2 pixels."""
    mean: Floats = values.astype(np.float32).reshape(SIDE, 2, SIDE, 2).mean((1, 3))
    return mean
