"""Methods that turn semantic masks into instances: the network's, and the two baselines that every user knows.

Only the network's method imports torch, and only when it is built.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sisegcli.categories import Categories
from sisegcli.data.images import MAX_PIXELS
from sisegcli.errors import OptionError
from sisegcli.grouping.components import label_components
from sisegcli.grouping.watershed import label_watershed
from sisegcli.instances import Segmentation, instances_from_labels
from sisegcli.stages import stage
from sisegcli.tiling import Tiling

Images = Sequence[NDArray[np.uint8]]
Masks = Sequence[NDArray[np.int32]]
Labels = NDArray[np.int32]

SURE_SHARE = 0.25
"""Share of the image from which a baseline's instance scores 1."""
BASELINE_SIDE = 2048
"""Side of a baseline's tiles, in pixels."""


class Method(Protocol):
    """Anything that turns images and their semantic masks into instances."""

    def segment(self, images: Images, masks: Masks) -> list[Segmentation]:
        """Segment a batch.

        Parameters
        ----------
        images : sequence of (H, W, 3) arrays of uint8
            RGB photographs; sizes may differ within a batch. A method whose attribute `needs_images` is false gets
            blank ones of the right size.
        masks : sequence of (H, W) arrays of int32
            Semantic masks: category ids, `BACKGROUND` and `IGNORE`.

        Returns
        -------
        list of Segmentation
            One for each image.
        """


def needs_images(method: Method) -> bool:
    """Return whether a method looks at the photographs; one that doesn't say does."""
    return bool(getattr(method, "needs_images", True))


def lanes_of(method: Method) -> int:
    """Return how many batches at a time a method has use for, from several threads; one that doesn't say, one."""
    return int(getattr(method, "lanes", 1))


def tiling_of(method: Method) -> Tiling | None:
    """Return how a method wants large images to be cut into tiles; None for one that does not say."""
    tiling = getattr(method, "tiling", None)
    return tiling() if tiling is not None else None


def on_processor(method: Method) -> Method | None:
    """Return a method that does the same on the processor, for what no device has memory for; None if there is none."""
    make = getattr(method, "on_processor", None)
    found: Method | None = make() if make is not None else None
    return found


class _Baseline(ABC):
    """What the baselines share: they see the mask only, and believe large instances more.

    The score of an instance is four times its share of the image, at most 1, since in a mask small regions are the ones
    that are most often crumbs.
    """

    needs_images: ClassVar[bool] = False
    reach: ClassVar[int]
    agreement: ClassVar[float]

    def __init__(self, categories: Categories | None = None, *, min_area: int = 0, min_score: float = 0.0) -> None:
        self._stuff = {category.id for category in (categories or {}).values() if not category.isthing}
        self._min_area = min_area
        self._min_score = min_score

    @stage("grouping")
    def segment(self, images: Images, masks: Masks) -> list[Segmentation]:
        """Segment a batch by its masks alone; see `Method.segment`."""
        return [self._segment(mask) for mask in masks]

    def tiling(self) -> Tiling:
        """Say how large images are cut into tiles; see `sisegcli.tiles`."""
        unfiltered = copy.copy(self)
        unfiltered._min_area, unfiltered._min_score = 0, 0.0
        return Tiling(
            unfiltered,
            score=lambda category, sureness, area, total, pixels: min(1.0, area / (SURE_SHARE * pixels)),
            reach=self.reach,
            side=BASELINE_SIDE,
            limit=MAX_PIXELS,
            agreement=self.agreement,
            stuff=self._stuff,
        )

    @abstractmethod
    def _label(self, mask: Labels) -> tuple[Labels, Mapping[int, int]]:
        """Label the segments of a mask; return their categories by label, too."""

    def _segment(self, mask: Labels) -> Segmentation:
        labels, categories = self._label(mask)
        areas = np.bincount(labels.ravel(), minlength=1).tolist()
        scores = {
            label: min(1.0, areas[label] / (SURE_SHARE * mask.size)) for label in categories if label < len(areas)
        }
        kept = {
            label: categories[label]
            for label, score in scores.items()
            if areas[label] >= self._min_area and score >= self._min_score
        }
        gone = [areas[label] for label in scores if label not in kept and areas[label]]
        instances = instances_from_labels(labels, kept, scores)
        instances.sort(key=lambda instance: -instance.score)
        return Segmentation(instances, removed=len(gone), removed_pixels=sum(gone))


class ComponentsMethod(_Baseline):
    """Each 4-connected component of a thing category is an instance; stuff is one segment.

    Parameters
    ----------
    categories : Categories, optional
        Tells which categories are stuff; all are things without it.
    min_area : int
        Instances with fewer pixels are removed.
    min_score : float
        Instances with a lower score are removed.

    Examples
    --------
    >>> mask = np.array([[5, 5, -1, 5]], np.int32)
    >>> [(i.category, i.area) for i in ComponentsMethod().segment([], [mask])[0].instances]
    [(5, 2), (5, 1)]
    """

    reach = 1
    agreement = 0.0  # what is connected in any tile is connected

    def _label(self, mask: Labels) -> tuple[Labels, Mapping[int, int]]:
        return label_components(mask, stuff=self._stuff, connectivity=4)


class WatershedMethod(_Baseline):
    """Regions of thing categories are cut by a watershed on their distance transform; stuff is one segment.

    The parameters are those of `ComponentsMethod`.
    """

    reach = 64
    agreement = 0.5

    def _label(self, mask: Labels) -> tuple[Labels, Mapping[int, int]]:
        return label_watershed(mask, stuff=self._stuff)


def _siseg(
    categories: Categories | None,
    *,
    min_area: int = 0,
    min_score: float = 0.0,
    weights: str = "default",
    **options: Any,
) -> Method:
    from sisegcli.segmenter import Segmenter  # imports torch, which the baselines do without

    return Segmenter(weights, categories=categories, min_area=min_area, min_score=min_score, **options)


def _components(categories: Categories | None, *, min_area: int = 0, min_score: float = 0.0, **_: Any) -> Method:
    return ComponentsMethod(categories, min_area=min_area, min_score=min_score)


def _watershed(categories: Categories | None, *, min_area: int = 0, min_score: float = 0.0, **_: Any) -> Method:
    return WatershedMethod(categories, min_area=min_area, min_score=min_score)


METHODS: Mapping[str, Callable[..., Method]] = {"siseg": _siseg, "components": _components, "watershed": _watershed}
"""Builders of methods by name."""


def build_method(name: str, *, categories: Categories | None = None, **options: Any) -> Method:
    """Build a method by name.

    Parameters
    ----------
    name : str
        ``siseg``, ``components`` or ``watershed``.
    categories : Categories, optional
        Names, and which of them are stuff.
    **options
        `min_area` and `min_score`; for ``siseg`` also `weights`, `device`, `refine` and `edges`, which the baselines
        pass over.

    Raises
    ------
    OptionError
        If no method has this name.

    Examples
    --------
    >>> build_method("components", min_area=20).needs_images
    False
    >>> build_method("magic")
    Traceback (most recent call last):
    ...
    sisegcli.errors.OptionError: There is no method 'magic'; choose one of siseg, components, watershed.
    """
    if name not in METHODS:
        raise OptionError(f"There is no method {name!r}; choose one of {', '.join(METHODS)}.")
    return METHODS[name](categories, **options)
