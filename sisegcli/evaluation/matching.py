"""Predictions and truth side by side: void taken out, and the overlaps of every image and category, computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from sisegcli.errors import ImageError
from sisegcli.evaluation.boundary import boundary_ious
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.instances import Bool, Instance

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Match:
    """The D predictions of one category in one image, and its G true objects, then C crowds.

    Attributes
    ----------
    image, category : int
        Place of the image in the ground truth, and category id.
    scores, areas : (D,) arrays
        Scores of the predictions, best first, and their areas in pixels, without void.
    truth_areas : (G + C,) array
        Pixels of the true objects and crowds.
    nominal_areas : (G + C,) array
        Areas that decide what is small, medium or large.
    objects : int
        G, the number of true objects.
    ious : (D, G + C) array
        Intersection over union; for crowds, intersection over the prediction's area.
    edge_ious : (D, G + C) array, optional
        The same, or the overlap of the boundaries where that is smaller; see `sisegcli.evaluation.boundary`.
    """

    image: int
    category: int
    scores: Floats
    areas: Floats
    truth_areas: Floats
    nominal_areas: Floats
    objects: int
    ious: Floats
    edge_ious: Floats | None = None

    def intersections(self) -> Floats:
        """Return the common pixels of predictions and true objects, of shape (D, G)."""
        ious = self.ious[:, : self.objects]
        # I / (A + B − I) = iou, solved for I: whole numbers, but for rounding.
        common: Floats = np.rint(ious * (self.areas[:, None] + self.truth_areas[: self.objects]) / (1 + ious))
        return common


def align(predictions: Mapping[str, Sequence[Instance]], truth: GroundTruth) -> dict[str, Sequence[Instance]]:
    """Find the predictions of each true image, by stem, or else by the last part of it where that is unique.

    Images without predictions are not in the result.

    Examples
    --------
    >>> from sisegcli.evaluation.truth import TruthImage
    >>> truth = GroundTruth({"val/a": TruthImage((1, 3), []), "val/b": TruthImage((1, 3), [])})
    >>> align({"a": [], "c": []}, truth)
    {'val/a': []}
    """
    bare = {stem: stem.rsplit("/", 1)[-1] for stem in (*predictions, *truth.images)}
    uses = Counter(bare[stem] for stem in truth.images)
    by_name: dict[str, list[str]] = {}
    for stem in predictions:
        by_name.setdefault(bare[stem], []).append(stem)
    found: dict[str, Sequence[Instance]] = {}
    for stem in truth.images:
        others = by_name.get(bare[stem], [])
        if stem in predictions:
            found[stem] = predictions[stem]
        elif len(others) == 1 == uses[bare[stem]]:
            found[stem] = predictions[others[0]]
    return found


def match(predictions: Mapping[str, Sequence[Instance]], truth: GroundTruth, watch: Watch = unwatched) -> list[Match]:
    """Compare predictions with the truth, image by image and category by category.

    Parameters
    ----------
    predictions : mapping
        Instances by the stems of `truth`. Those that lie in void altogether are left out, and so are segments of stuff
        where the truth tells its stuff: they are no instances.
    truth : GroundTruth
        What is to be found.
    watch : Watch
        Sees how it goes on.

    Returns
    -------
    list of Match
        In order of image and category id; none where there are neither predictions nor true objects nor crowds.
    """
    found: list[Match] = []
    stuff = truth.stuff_alone()
    for number, (stem, image) in enumerate(watch(list(truth.images.items()), "Comparing")):
        predicted = [i for i in predictions.get(stem, ()) if i.category not in stuff]
        found += _match_image(number, without_void(stem, predicted, image), image)
    return found


def _match_image(number: int, predicted: Sequence[Instance], image: TruthImage) -> list[Match]:
    areas = image.areas if image.areas is not None else [float(i.area) for i in image.instances]
    regions = [*image.instances, *image.crowds]
    nominal = [*areas, *(float(i.area) for i in image.crowds)]
    is_crowd = [False] * len(image.instances) + [True] * len(image.crowds)
    found = []
    for category in sorted({i.category for i in (*predicted, *regions)}):
        mine = sorted((i for i in predicted if i.category == category), key=lambda i: -i.score)
        places = [place for place, region in enumerate(regions) if region.category == category]
        crowd = [is_crowd[place] for place in places]
        ious = np.zeros((len(mine), len(places)))
        if mine and places:
            ious = coco_mask.iou([i.rle for i in mine], [regions[place].rle for place in places], crowd)
        found.append(
            Match(
                image=number,
                category=category,
                scores=np.array([i.score for i in mine], float),
                areas=np.array([i.area for i in mine], float),
                truth_areas=np.array([regions[place].area for place in places], float),
                nominal_areas=np.array([nominal[place] for place in places], float),
                objects=crowd.count(False),
                ious=ious,
                edge_ious=boundary_ious(ious, mine, [regions[place] for place in places if not is_crowd[place]]),
            )
        )
    return found


def without_void(stem: str, instances: Sequence[Instance], image: TruthImage) -> list[Instance]:
    """Take void pixels out of the instances of an image; those with no pixels left are dropped.

    Raises
    ------
    ImageError
        If an instance has another size than the image; `stem` names it.
    """
    for instance in instances:
        if instance.size != image.size:
            (height, width), (true_height, true_width) = instance.size, image.size
            raise ImageError(
                f"The predictions of {stem} are {width} x {height} pixels, but its ground truth is {true_width} x "
                f"{true_height}; make both from the same image."
            )
    if image.void is None:
        return [i for i in instances if i.area]
    known: Bool = ~image.void.mask()
    inside = Instance.from_mask(known, category=0).rle
    cut = (
        Instance.from_rle(coco_mask.merge([i.rle, inside], intersect=True)["counts"], i.size, i.category, i.score)
        for i in instances
    )
    return [i for i in cut if i.area]
