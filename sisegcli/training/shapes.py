"""Shapes with known answers for the wholeness network: whole objects, parts of them, and several in one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sisegcli.grid import STRIDE
from sisegcli.grouping.basins import cut_at_ridges
from sisegcli.grouping.components import label_components
from sisegcli.grouping.pieces import contacts
from sisegcli.grouping.wholeness import show
from sisegcli.network.asking import GREY
from sisegcli.training.guides import roughen
from sisegcli.training.questions import split_at_random
from sisegcli.windows import WINDOW, cut_window

Labels = NDArray[np.int32]
Cells = NDArray[np.bool_]

LEAST = 10
"""Cells that a shape needs."""
NEAR = 2.0
"""Objects are neighbours if the gap between their boxes is at most so many sizes of the smaller one."""
STRANGERS = 0.2
"""Share of other objects from which a shape is not one object."""
MISSING = 0.3
"""Share of an object that has to be missing for the rest to be a part."""
KINDS = {"whole": 0.24, "part": 0.24, "touching": 0.26, "apart": 0.18, "region": 0.08}
"""How often each kind of shape is tried."""


@dataclass(frozen=True)
class Shapes:
    """K shapes.

    Attributes
    ----------
    windows : (K, WINDOW, WINDOW, 3) array of uint8
        What is seen.
    things, shapes : (K, WINDOW, WINDOW) arrays of uint8
        255 on things, and on the shape.
    answers : (K, 2) array of float32
        How far it is one object, and all of that object: 0 no, 1 yes.
    weights : (K, 2) array of float32
        How much each answer counts.
    doubtful : (K,) array of bool
        Shapes that are one object if their region is.
    """

    windows: NDArray[np.uint8]
    things: NDArray[np.uint8]
    shapes: NDArray[np.uint8]
    answers: NDArray[np.float32]
    weights: NDArray[np.float32]
    doubtful: NDArray[np.bool_]


def ask_shapes(
    image: NDArray[np.uint8],
    labels: Labels,
    categories: Mapping[int, int],
    pasted: Collection[int],
    count: int,
    rng: np.random.Generator,
    *,
    clumps: Collection[int] = (),
) -> Shapes:
    """Make shapes of the objects of a picture; where none can be made, weights are 0.

    Parameters
    ----------
    image : (H, W, 3) array of uint8
        The picture; sides are multiples of 4.
    labels : (H, W) array of int32
        Objects from 1; 0 is background, -1 ignored.
    categories : mapping
        Category of each label.
    pasted : collection of int
        Labels that are single objects for certain.
    count : int
        Number of shapes.
    rng : numpy.random.Generator
        Chance.
    clumps : collection of int
        Labels that are several objects, as it seems: nothing is asked about them.
    """
    made = Shapes(
        np.full((count, WINDOW, WINDOW, 3), GREY, np.uint8),
        np.zeros((count, WINDOW, WINDOW), np.uint8),
        np.zeros((count, WINDOW, WINDOW), np.uint8),
        np.zeros((count, 2), np.float32),
        np.zeros((count, 2), np.float32),
        np.zeros(count, bool),
    )
    scene = _Scene(image, labels, dict(categories), set(pasted), set(clumps), rng)
    if not scene.objects:
        return made
    number = 0
    for _ in range(3 * count):
        if number == count:
            break
        number += _make(made, number, scene)
    return made


class _Scene:
    """A picture on the grid: objects, and pieces of its regions as they could be taken for objects."""

    def __init__(
        self,
        image: NDArray[np.uint8],
        labels: Labels,
        categories: dict[int, int],
        pasted: set[int],
        clumps: set[int],
        rng: np.random.Generator,
    ) -> None:
        self.pasted, self.clumps, self.rng = pasted, clumps, rng
        self.image = image
        self.things = roughen(labels > 0, rng) > 0
        # Half of the time all categories are one, so that borders between them are met like those within one.
        self.category = dict.fromkeys(categories, 0) if rng.random() < 0.5 else categories
        half = STRIDE // 2
        self.cells: Labels = labels[half::STRIDE, half::STRIDE]
        self.area = np.bincount(np.maximum(self.cells, 0).ravel())
        self.area[0] = 0
        large = np.flatnonzero(self.area >= LEAST).tolist()
        self.objects = [label for label in large if label in categories and label not in clumps]
        self.boxes = ndimage.find_objects(np.maximum(self.cells, 0))

    @cached_property
    def pieces(self) -> tuple[Labels, list[set[int]], NDArray[np.intp]]:
        """Pieces, from 1; the neighbours of each; and the object that most of each belongs to."""
        regions = self.regions
        height, width = regions.shape
        small = Image.fromarray(self.image).convert("L").resize((width, height), Image.Resampling.BOX)
        fine = float(self.rng.uniform(0.5, 1.2))
        slope = ndimage.gaussian_gradient_magnitude(np.asarray(small, np.float32), fine)
        slope /= max(float(np.percentile(slope, 98)), 1.0)
        labels = cut_at_ridges(regions, np.clip(slope, 0, 1), sigma=float(self.rng.uniform(0.8, 2.2)))
        count = int(labels.max(initial=0)) + 1
        region = np.zeros(count, np.int64)
        region[labels.ravel()] = regions.ravel()
        beside: list[set[int]] = [set() for _ in range(count)]
        first, second, _, _ = contacts(labels, region, None)
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            beside[a].add(b)
            beside[b].add(a)
        inside = (labels > 0) & (self.cells > 0)
        table = np.zeros((count, len(self.area)), np.int64)
        np.add.at(table, (labels[inside], self.cells[inside]), 1)
        return labels, beside, table.argmax(1)

    @cached_property
    def regions(self) -> Labels:
        kinds = np.full(len(self.area), -1, np.int32)
        for label, category in self.category.items():
            if label < len(kinds):
                kinds[label] = category
        return label_components(np.where(self.cells > 0, kinds[np.maximum(self.cells, 0)], -1), connectivity=4)[0]

    def gap(self, a: int, b: int) -> int:
        """Return the larger of the distances between two objects' boxes, along rows and along columns."""
        one, other = self.boxes[a - 1], self.boxes[b - 1]
        return max(0, *(int(max(p.start - q.stop, q.start - p.stop)) for p, q in zip(one, other, strict=True)))

    def neighbours(self, label: int) -> list[int]:
        """Return the objects of an object's category that are near."""
        return [
            other
            for other in self.objects
            if other != label
            and self.category[other] == self.category[label]
            and self.gap(label, other) <= NEAR * np.sqrt(min(self.area[label], self.area[other]))
        ]

    def pick(self) -> int:
        """Choose an object; large ones, and those that touch others, more often."""
        touching = set(self.touching)
        odds = np.array([(3.0 if o in touching else 1.0) * min(1.0, self.area[o] / 60) for o in self.objects])
        return int(self.rng.choice(self.objects, p=odds / odds.sum()))

    @cached_property
    def touching(self) -> set[int]:
        _, beside, owner = self.pieces
        return {int(owner[a]) for a, others in enumerate(beside) for b in others if owner[a] != owner[b]}


def _make(made: Shapes, number: int, scene: _Scene) -> bool:
    """Make a shape; False if this one cannot be."""
    rng = scene.rng
    label = scene.pick()
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    near = scene.neighbours(label)
    shape, closing = _draw(kind, scene, label, near)
    if shape is None or np.count_nonzero(shape) < LEAST:
        return False
    known = scene.cells[shape]
    members = np.bincount(known[known > 0])
    if not len(members):
        return False
    main = int(members.argmax())
    if main in scene.clumps:
        return False
    one = members[main] / max(np.count_nonzero(known >= 0), 1)
    whole = members[main] / scene.area[main]
    natural = main not in scene.pasted
    weight = [1.0, 1.0]
    if natural and one > 0.9:
        weight[0] = 0.6  # a region may hold several objects
    if natural and whole > 0.9:
        weight[1] = 0.4 if near else 0.7  # or a part of one whose other parts are other regions
    if kind == "apart" and not scene.pasted & set(np.unique(known).tolist()):
        weight[0] = 0.5  # for the same reason
    things = scene.things
    if not closing and rng.random() < 0.15:
        closing = int(rng.integers(1, 4))
    if closing:  # so that a gap in the shape tells nothing
        full = np.pad(shape, closing + 1)
        full = ndimage.binary_closing(full, iterations=closing)[closing + 1 : -closing - 1, closing + 1 : -closing - 1]
        filled = full & ~shape & (scene.cells <= 0)
        shape = shape | filled
        things = things | np.kron(filled, np.ones((STRIDE, STRIDE), bool))
    look = show(shape, float(rng.uniform(1.4, 2.1)))
    shift = rng.normal(0, 0.03, 2) * look.window.side
    window = look.window.moved(float(shift[0]), float(shift[1]))
    drawn = cut_window(look.shape, window.scaled(1 / STRIDE).moved(*look.corner), fill=0, smooth=True)
    step = -1 if rng.random() < 0.5 else 1  # mirrored
    made.windows[number] = cut_window(scene.image, window, fill=GREY, smooth=True)[:, ::step]
    made.things[number] = cut_window(np.where(things, 255, 0).astype(np.uint8), window, fill=0, smooth=True)[:, ::step]
    made.shapes[number] = drawn[:, ::step]
    made.answers[number] = np.clip([1 - (1 - one) / STRANGERS, 1 - (1 - whole) / MISSING], 0, 1)
    made.weights[number] = weight
    made.doubtful[number] = natural and one > 0.9
    return True


def _draw(kind: str, scene: _Scene, label: int, near: list[int]) -> tuple[Cells | None, int]:
    """Draw a shape of a kind around an object, and say by how many cells it has to be closed."""
    rng, exact = scene.rng, scene.cells == label
    if kind == "apart":
        if not near:
            return None, 0
        other = int(rng.choice(near))
        gap = scene.gap(label, other)
        return exact | (scene.cells == other), gap // 2 + 2 if gap <= 5 and rng.random() < 0.7 else 0
    if kind == "region":
        region = np.bincount(scene.regions[exact]).argmax()
        return scene.regions == region, 0
    labels, beside, owner = scene.pieces
    mine = np.flatnonzero(owner == label).tolist()
    if kind == "whole":
        return exact if rng.random() < 0.5 or not mine else np.isin(labels, mine), 0
    if kind == "part":
        return _part(scene, exact, mine), 0
    around = sorted({b for a in mine for b in beside[a] if owner[b] and owner[b] != label})
    if not around:
        return None, 0
    other = int(rng.choice(around))
    much = rng.random()
    if much < 0.5:
        chosen = [*mine, *np.flatnonzero(owner == owner[other]).tolist()]
    elif much < 0.75:
        chosen = [*mine, other]
    else:
        chosen = [a for a in mine if other in beside[a]] + [other]
    return np.isin(labels, chosen), 0


def _part(scene: _Scene, exact: Cells, mine: list[int]) -> Cells:
    """Draw a part of an object: one of its fragments, some pieces that touch, or what a random cut leaves."""
    rng = scene.rng
    fragments, count = ndimage.label(exact)
    sizes = np.bincount(fragments.ravel())
    large = [n for n in range(1, count + 1) if sizes[n] >= max(8, 0.1 * sizes[1:].sum())]
    if len(large) > 1 and rng.random() < 0.7:
        fragment: Cells = fragments == int(rng.choice(large))
        return fragment
    if len(mine) > 1 and rng.random() < 0.7:
        labels, beside, _ = scene.pieces
        chosen, wanted = {int(rng.choice(mine))}, int(rng.integers(1, len(mine)))
        while len(chosen) < wanted:
            around = sorted({b for a in chosen for b in beside[a]} & set(mine) - chosen)
            if not around:
                break
            chosen.add(int(rng.choice(around)))
        return np.isin(labels, list(chosen))
    part = split_at_random(exact, int(rng.choice([2, 3, 4])), rng)
    fragments, _ = ndimage.label(part)
    largest: Cells = fragments == np.bincount(fragments[part]).argmax()
    return largest
