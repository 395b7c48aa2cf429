"""Corrections: instances that a person told apart in a few images, as hints for the next round of training.

Training needs semantic masks alone. This is the one way in which instance labels get into it, and only if somebody asks
for it (``--corrections``): corrected images show borders and centres that are known, where masks alone leave regions in
doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.errors import ImageError
from sisegcli.evaluation import load_truth
from sisegcli.evaluation.truth import TruthImage
from sisegcli.grouping.components import label_components

Labels = NDArray[np.int32]

UNTOLD, UNSURE, VOID = 0, -1, -2
"""Hints below 1: nothing is said of a pixel; it belongs to several objects that nobody told apart; it is unknown."""
SHARE = 0.25
"""Corrected images make up this share of the samples, at least, if that takes no more than `REPEATS` of each."""
REPEATS = 20


@dataclass(frozen=True)
class Corrections:
    """Hints for some images, by stem.

    Attributes
    ----------
    path : Path
        Where they come from.
    images : mapping
        Instances, crowds and void of each image.
    """

    path: Path
    images: Mapping[str, TruthImage]

    def hints(self, stem: str, size: tuple[int, ...]) -> Labels:
        """Return what is told of an image.

        Parameters
        ----------
        stem : str
            The image.
        size : tuple of int
            Its height and width, in pixels.

        Returns
        -------
        (H, W) array of int32
            Instances from 1, `UNTOLD`, `UNSURE` or `VOID`.

        Raises
        ------
        ImageError
            If the corrections are of another size.
        """
        hints = np.full(size, UNTOLD, np.int32)
        told = self.images.get(stem)
        if told is None:
            return hints
        if told.size != size:
            raise ImageError(
                f"{self.path} has {stem} as {told.size[1]} × {told.size[0]} pixels but its mask is "
                f"{size[1]} × {size[0]}; correct it in the mask's size."
            )
        if told.void is not None:
            hints[told.void.mask()] = VOID
        for crowd in told.crowds:
            hints[crowd.mask()] = UNSURE
        for number, instance in enumerate(told.instances, 1):
            hints[instance.mask()] = number
        return hints


def load_corrections(path: Path) -> Corrections:
    """Read corrected instances.

    Parameters
    ----------
    path : Path
        What `sisegcli evaluate` takes as truth: a COCO file, a VOC folder (``SegmentationObject`` and
        ``SegmentationClass``, as ``--to voc`` writes them), or a folder with ``instances/`` and ``masks/``.

    Raises
    ------
    SisegError
        If it is none of these, or damaged.
    """
    return Corrections(path, load_truth(path).images)


@dataclass(frozen=True)
class Objects:
    """The objects of a mask, as far as they are known.

    Attributes
    ----------
    labels : (H, W) array of int32
        Objects from 1; 0 is nobody, and `ignored` what is unknown.
    category_of : dict
        Category of each label.
    certain : set of int
        Labels that are single objects for certain.
    clumps : set of int
        Labels that are several objects.
    """

    labels: Labels
    category_of: dict[int, int]
    certain: set[int] = field(default_factory=set)
    clumps: set[int] = field(default_factory=set)


def label_objects(mask: Labels, hints: Labels, *, stuff: Collection[int] = (), ignored: int = -1) -> Objects:
    """Label the things of a mask: connected components, but for those that somebody told apart.

    What a corrected outline leaves over of a component is ignored; components that no hint touches are as ever.

    Parameters
    ----------
    mask : (H, W) array of int32
        Category ids from 0; negative pixels belong to nobody.
    hints : (H, W) array of int32
        Instances from 1, `UNTOLD`, `UNSURE` or `VOID`.
    stuff : collection of int
        Categories without objects.
    ignored : int
        Label of what is unknown.

    Examples
    --------
    >>> mask = np.array([[7, 7, 7, -1, 7], [7, 7, 7, -1, 7]], np.int32)
    >>> hints = np.array([[1, 2, 2, 0, 0], [1, 2, 0, 0, 0]], np.int32)
    >>> found = label_objects(mask, hints)
    >>> found.labels
    array([[ 1,  2,  2,  0,  3],
           [ 1,  2, -1,  0,  3]], dtype=int32)
    >>> found.category_of, found.certain
    ({1: 7, 2: 7, 3: 7}, {1, 2})
    """
    things = np.where(np.isin(mask, list(stuff)), -1, mask) if stuff else mask
    if not hints.any():
        labels, category_of = label_components(things)
        return Objects(labels, category_of)
    found = Objects(np.zeros(mask.shape, np.int32), {})
    rest = things.copy()
    boxes = ndimage.find_objects(np.maximum(hints, 0))
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        inside = (hints[box] == number) & (things[box] >= 0)
        if not inside.any():
            continue
        category = int(np.bincount(things[box][inside]).argmax())
        inside &= things[box] == category
        label = len(found.category_of) + 1
        found.labels[box][inside] = label
        found.category_of[label] = category
        found.certain.add(label)
        rest[box][inside] = -1
    for only, told in ((hints == UNSURE, True), (hints == UNTOLD, False)):
        parts, categories = label_components(np.where(only, rest, -1))
        over = set() if told else _left_over(parts, found, categories)
        numbers = np.zeros(len(categories) + 1, np.int32)
        for part, category in categories.items():
            if part not in over:
                numbers[part] = len(found.category_of) + 1
                found.category_of[int(numbers[part])] = category
        np.add(found.labels, numbers[parts], out=found.labels)
        if told:
            found.clumps.update(numbers[1:].tolist())
    found.labels[(things >= 0) & (found.labels == 0)] = ignored
    return found


def _left_over(parts: Labels, found: Objects, categories: Mapping[int, int]) -> set[int]:
    """Return components that touch an object of their category: what its outline left over."""
    over = set()
    framed = np.pad(found.labels, 1)
    for part, box in enumerate(ndimage.find_objects(parts), 1):
        around = tuple(slice(side.start, side.stop + 2) for side in box)
        rim = ndimage.binary_dilation(np.pad(parts[box] == part, 1)) & (framed[around] > 0)
        if any(found.category_of[label] == categories[part] for label in np.unique(framed[around][rim]).tolist()):
            over.add(part)
    return over


def repeats(corrected: int, images: int) -> int:
    """Return how often each corrected image comes while every other one comes once.

    >>> repeats(3, 3000), repeats(30, 300), repeats(200, 300)
    (20, 3, 1)
    """
    if not corrected:
        return 1
    wanted = SHARE * (images - corrected) / ((1 - SHARE) * corrected)
    return min(max(1, round(wanted)), REPEATS)
