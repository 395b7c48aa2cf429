"""Predictions and truth side by side: void taken out, and the overlaps of every image and category, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sisegcli.errors import ImageError
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.instances import Instance

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Match:
    """The predictions and the true objects of one category in one image.

    Attributes
    ----------
    image, category : int
        Index of the image, and category id.
    scores, areas : (D,) arrays
        Scores of the predictions, best first, and their areas in pixels, without void.
    truth_areas : (G,) array
        Pixels of the true objects, then of the crowds.
    nominal_areas : (G,) array
        Areas that decide what is small, medium or large.
    crowd : (G,) array of bool
        Which of the true objects are crowds (the last ones).
    ious : (D, G) array
        Intersection over union; for crowds, intersection over the prediction's area.
    """

    image: int
    category: int
    scores: Floats
    areas: Floats
    truth_areas: Floats
    nominal_areas: Floats
    crowd: NDArray[np.bool_]
    ious: Floats

    @property
    def intersections(self) -> Floats:
        """Common pixels of predictions and true objects, of shape (D, objects), without crowds."""
        objects = ~self.crowd
        ious, areas = self.ious[:, objects], self.areas[:, None] + self.truth_areas[None, objects]
        return np.rint(ious * areas / (1 + ious))


def match(predictions: Mapping[str, Sequence[Instance]], truth: GroundTruth) -> list[Match]:
    """Compare the predictions with the truth, image by image and category by category.

    Predictions of images that `truth` doesn't hold are left out, and so are predictions that lie in void altogether.
    Pairs of image and category with neither predictions nor truth are left out.
    """
    found = []
    for number, (stem, image) in enumerate(truth.images.items()):
        predicted = without_void(stem, predictions.get(stem, ()), image.size, image.void)
        areas = image.areas if image.areas is not None else [float(i.area) for i in image.instances]
        categories = {i.category for i in predicted} | {i.category for i in (*image.instances, *image.crowds)}
        for category in sorted(categories):
            mine = sorted((i for i in predicted if i.category == category), key=lambda i: -i.score)
            objects = [
                (i, a) for i, a in zip(image.instances, areas, strict=True) if i.category == category
            ]
            crowds = [(i, float(i.area)) for i in image.crowds if i.category == category]
            regions = objects + crowds
            crowd = np.array([False] * len(objects) + [True] * len(crowds), bool)
            ious = np.zeros((len(mine), len(regions)))
            if mine and regions:
                ious = coco_mask.iou([i.rle for i in mine], [i.rle for i, _ in regions], crowd.tolist())
            found.append(
                Match(
                    number,
                    category,
                    np.array([i.score for i in mine], float),
                    np.array([i.area for i in mine], float),
                    np.array([i.area for i, _ in regions], float),
                    np.array([area for _, area in regions], float),
                    crowd,
                    ious,
                )
            )
    return found


def without_void(
    stem: str, instances: Sequence[Instance], size: tuple[int, int], void: Instance | None
) -> list[Instance]:
    """Take void pixels out of instances; those with no pixels left disappear.

    Raises
    ------
    ImageError
        Where an instance has another size than the image of the ground truth.
    """
    for instance in instances:
        if instance.size != size:
            (height, width), (true_height, true_width) = instance.size, size
            raise ImageError(
                f"The predictions of {stem} are {width} × {height} pixels, but its ground truth is "
                f"{true_width} × {true_height}: predict at the size of the ground truth."
            )
    if void is None:
        return [i for i in instances if i.area]
    known = Instance.from_mask(~void.mask(), 0).rle
    kept = []
    for instance in instances:
        counts = coco_mask.merge([instance.rle, known], intersect=True)["counts"]
        clean = Instance.from_rle(counts, size, instance.category, instance.score)
        if clean.area:
            kept.append(replace(instance, counts=counts, box=clean.box, area=clean.area))
    return kept
