"""Lone objects: components of semantic masks that stand by themselves and can be pasted beside others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sisegcli.categories import Categories
from sisegcli.data.layouts import Pair
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError
from sisegcli.grouping.components import label_components


@dataclass(frozen=True)
class Source:
    """Images of one data set: pairs of files, how to read their masks, and which categories are things."""

    pairs: tuple[Pair, ...]
    reader: MaskReader
    categories: Categories


@dataclass(frozen=True)
class LoneObject:
    """Where a lone object is: number of source and pair, category, box (top, left, height, width) and area."""

    source: int
    pair: int
    category: int
    box: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True)
class ObjectBank:
    """Lone objects, and where those of a source's category are among them."""

    objects: tuple[LoneObject, ...]
    by_category: dict[tuple[int, int], NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.objects)

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
    category there is a tenth as large, and at most one side of the image cuts it.

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
        try:
            mask = sources[source].reader.read(sources[source].pairs[pair].mask)
        except (ImageError, OSError):
            return []
        return _lone_objects(mask, source, pair, sources[source].categories, min_area)

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


def _lone_objects(
    mask: NDArray[np.int32], source: int, pair: int, categories: Categories, min_area: float
) -> list[LoneObject]:
    labels, category_of = label_components(mask)
    height, width = mask.shape
    areas = np.bincount(labels.ravel(), minlength=len(category_of) + 1)
    found = []
    for label, category in category_of.items():
        if not categories.isthing(category) or areas[label] < min_area * mask.size:
            continue
        rivals = [areas[other] for other, c in category_of.items() if c == category and other != label]
        if rivals and max(rivals) > areas[label] / 10:
            continue
        rows, columns = np.flatnonzero((labels == label).any(1)), np.flatnonzero((labels == label).any(0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        if int(top == 0) + int(left == 0) + int(bottom == height) + int(right == width) > 1:
            continue
        box = (int(top), int(left), int(bottom - top), int(right - left))
        found.append(LoneObject(source, pair, category, box, int(areas[label])))
    return found
