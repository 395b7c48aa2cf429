"""Lone objects: components of semantic masks that stand by themselves and can be pasted beside others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError
from sisegcli.training.corrections import UNTOLD, Corrections, Objects, label_objects

COMFORTABLE = 36.0
"""Size (square root of the area), in pixels, from which objects are told apart well on a grid of stride 4."""
CROWD = 6
"""Components of a category from which an image shows a crowd, whose typical members are taken for single objects."""
SMALLEST = 36
"""Pixels that a member of a crowd needs."""
SOLID = 0.93
"""Share of its convex hull that a single object of a crowd fills."""


@dataclass(frozen=True)
class Source:
    """Images of one data set: pairs of files, how to read their masks, which categories are things, and corrections."""

    pairs: tuple[Pair, ...]
    reader: MaskReader
    categories: Categories
    corrections: Corrections | None = None

    @property
    def stuff(self) -> list[int]:
        """Categories without objects."""
        return [category.id for category in self.categories.values() if not category.isthing]

    def hints(self, pair: Pair, size: tuple[int, ...]) -> NDArray[np.int32]:
        """Return what was corrected in an image, as `Corrections.hints` does."""
        return self.corrections.hints(pair.stem, size) if self.corrections else np.full(size, UNTOLD, np.int32)


@dataclass(frozen=True)
class LoneObject:
    """A lone object: source, pair and category, box (top, left, height, width), area, and its image's longer side."""

    source: int
    pair: int
    category: int
    box: tuple[int, int, int, int]
    area: int
    side: int = 0


@dataclass(frozen=True)
class ObjectBank:
    """Lone objects, and where those of a source's category are among them."""

    objects: tuple[LoneObject, ...]
    by_category: dict[tuple[int, int], NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.objects)

    def magnification(self, long_side: int = 0) -> float | None:
        """Return how much to enlarge images so that half of the objects are at least `COMFORTABLE` pixels in size.

        None if they are so in images that are shrunk to a longest side (0: no shrinking), as they then should be.
        """
        if not self.objects:
            return None
        shrunk = [min(1.0, long_side / max(item.side, 1)) if long_side else 1.0 for item in self.objects]
        sizes = [float(np.sqrt(item.area)) for item in self.objects]
        if np.median([size * scale for size, scale in zip(sizes, shrunk, strict=True)]) >= COMFORTABLE:
            return None
        return round(min(max(COMFORTABLE / float(np.median(sizes)), 1.0), 4.0), 1)

    def pick(self, rng: np.random.Generator, source: int, category: int | None = None) -> LoneObject:
        """Pick an object at random, of a category of a source where there is one."""
        numbers = self.by_category.get((source, category)) if category is not None else None
        if numbers is None or len(numbers) < 4:
            # All categories alike, or the commonest would be pasted everywhere.
            groups = list(self.by_category.values())
            numbers = groups[int(rng.integers(len(groups)))]
        return self.objects[int(numbers[rng.integers(len(numbers))])]


def collect_objects(
    sources: Sequence[Source], *, min_area: float = 0.01, advance: Callable[[int], None] = lambda _: None
) -> ObjectBank:
    """Find the lone objects of all sources.

    A component is taken for a lone object if it covers at least `min_area` of its image, no other component of its
    category there is a tenth as large, and at most one side of the image cuts it. In a crowd, a component is taken for
    one if it is about as large as the median and nearly convex (two that touch are larger, and have notches).

    Parameters
    ----------
    sources : sequence of Source
        The data sets; masks that cannot be read are left out here (the samples name them).
    min_area : float
        Smallest area, as a share of the image.
    advance : callable
        Called with the number of masks just read.
    """

    def search(place: tuple[int, int]) -> list[LoneObject]:
        source, pair = place
        files = sources[source].pairs[pair]
        try:
            mask = sources[source].reader.read(files.mask)
            hints = sources[source].hints(files, mask.shape)
        except (ImageError, OSError):
            return []
        found = label_objects(mask, hints, stuff=sources[source].stuff)
        return _lone_objects(found, source, pair, min_area)

    places = [(s, p) for s, source in enumerate(sources) for p in range(len(source.pairs))]
    objects: list[LoneObject] = []
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(search, places):
            objects += found
            advance(1)
    groups: dict[tuple[int, int], list[int]] = {}
    for number, item in enumerate(objects):
        groups.setdefault((item.source, item.category), []).append(number)
    return ObjectBank(tuple(objects), {key: np.array(numbers) for key, numbers in groups.items()})


def _lone_objects(known: Objects, source: int, pair: int, min_area: float) -> list[LoneObject]:
    labels, category_of = np.maximum(known.labels, 0), known.category_of
    height, width = labels.shape
    areas = np.bincount(labels.ravel(), minlength=len(category_of) + 1)
    boxes = ndimage.find_objects(labels, max_label=len(areas) - 1)
    by_category: dict[int, list[int]] = {}
    for label, category in category_of.items():
        by_category.setdefault(category, []).append(label)
    found = []
    for category, members in by_category.items():
        typical = float(np.median(areas[members])) if len(members) >= CROWD else None
        for label in members:
            if label in known.clumps:
                continue
            rows, columns = boxes[label - 1]
            box = (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
            cut = (rows.start == 0) + (columns.start == 0) + (rows.stop == height) + (columns.stop == width)
            rival = max((areas[other] for other in members if other != label), default=0)
            alone = rival <= areas[label] / 10 and areas[label] >= min_area * labels.size and cut <= 1
            single = typical is not None and not cut and _is_typical(labels[rows, columns] == label, typical)
            if alone or single:
                found.append(LoneObject(source, pair, category, box, int(areas[label]), max(height, width)))
    return found


def find_clumps(labels: NDArray[np.int32], category_of: Mapping[int, int]) -> set[int]:
    """Return members of crowds that look like several objects: larger than most, and with notches.

    Parameters
    ----------
    labels : (H, W) array of int32
        Components from 1.
    category_of : mapping
        Category of each.
    """
    areas = np.bincount(np.maximum(labels, 0).ravel(), minlength=max(category_of, default=0) + 1)
    by_category: dict[int, list[int]] = {}
    for label, category in category_of.items():
        if areas[label] >= SMALLEST:
            by_category.setdefault(category, []).append(label)
    found = set()
    for members in by_category.values():
        if len(members) < CROWD:
            continue
        typical = float(np.median(areas[members]))
        boxes = ndimage.find_objects(np.maximum(labels, 0), max_label=max(members))
        for label in members:
            if areas[label] > 1.5 * typical and not _is_solid(labels[boxes[label - 1]] == label):
                found.add(label)
    return found


def _is_typical(shape: NDArray[np.bool_], typical: float) -> bool:
    """Return whether a member of a crowd looks like one object: no larger than most, and without notches."""
    area = int(np.count_nonzero(shape))
    return area >= SMALLEST and typical / 2 <= area <= typical * 1.5 and _is_solid(shape)


def _is_solid(shape: NDArray[np.bool_]) -> bool:
    area = int(np.count_nonzero(shape))
    middles = np.argwhere(shape)
    sides = [middles + np.array(side) for side in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
    return area >= SOLID * float(ConvexHull(np.concatenate(sides)).volume)
