"""The evaluation and its report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sisegcli.evaluation.coco_ap import QuietEvaluation
from sisegcli.evaluation.faults import Faults, count_split_and_merged
from sisegcli.evaluation.matching import match
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.voc_ap import voc_ap
from sisegcli.instances import Instance

VOC_THRESHOLDS = (0.25, 0.5, 0.7, 0.75)


@dataclass(frozen=True, slots=True)
class CategoryReport:
    """Figures of one category; precisions are fractions, NaN where the category has no true objects."""

    id: int
    name: str
    ap: float
    ap50: float
    voc_ap: dict[float, float]
    truth: int
    predicted: int
    faults: Faults


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of an evaluation; precisions and recalls are fractions, NaN where nothing could be measured.

    Attributes
    ----------
    ap, ap50, ap75, ap_small, ap_medium, ap_large, ar : float
        COCO's figures, with `max_dets` predictions an image and category; small is up to 32², medium up to 96² pixels.
    ap_100 : float
        COCO's AP with its standard of 100 predictions an image and category.
    max_dets : int
        As many as the fullest image has, at least 100.
    voc_ap : dict
        VOC's AP by threshold.
    images, truth, predicted : int
        Numbers of images, of true objects, and of predictions in these images.
    faults : Faults
        Split, merged, missed and spurious.
    categories : list of CategoryReport
        In order of id: all that occur in the truth or in the predictions.
    notes : list of str
        What a reader of the figures must know.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar: float
    ap_100: float
    max_dets: int
    voc_ap: dict[float, float]
    images: int
    truth: int
    predicted: int
    faults: Faults
    categories: list[CategoryReport]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON: keys are strings, and NaN is None."""
        cleaned: dict[str, Any] = _clean(asdict(self))
        return cleaned


def evaluate(
    predictions: Mapping[str, Sequence[Instance]], truth: GroundTruth, *, notes: Iterable[str] = ()
) -> Report:
    """Compare predicted instances with the truth.

    Parameters
    ----------
    predictions : mapping
        Instances by file stem; images of `truth` that are not here have none, images that `truth` doesn't hold are
        ignored.
    truth : GroundTruth
        What is to be found.
    notes : iterable of str
        Earlier notes for the report.

    Raises
    ------
    ImageError
        Where predictions have another size than their image.
    """
    notes = list(notes)
    foreign = sum(stem not in truth.images for stem in predictions)
    absent = sum(stem not in predictions for stem in truth.images)
    if foreign:
        notes.append(f"Predictions for {foreign} images that are not in the ground truth were ignored.")
    if absent:
        notes.append(f"{absent} images have no predictions; their objects count as missed.")
    matches = match(predictions, truth)
    coco = QuietEvaluation(matches)
    coco.run()
    voc = {threshold: voc_ap(matches, threshold) for threshold in VOC_THRESHOLDS}
    unmatched = coco.unmatched()
    categories = []
    for category in coco.params.catIds:
        mine = [m for m in matches if m.category == category]
        cuts = [count_split_and_merged(m) for m in mine]
        missed, spurious = unmatched.get(category, (0, 0))
        categories.append(
            CategoryReport(
                id=int(category),
                name=truth.categories.name(int(category)),
                ap=coco.precision(category=category),
                ap50=coco.precision(0.5, category=category),
                voc_ap={threshold: aps.get(category, math.nan) for threshold, aps in voc.items()},
                truth=sum(int((~m.crowd).sum()) for m in mine),
                predicted=sum(len(m.scores) for m in mine),
                faults=Faults(sum(s for s, _ in cuts), sum(m for _, m in cuts), missed, spurious),
            )
        )
    return Report(
        ap=coco.precision(),
        ap50=coco.precision(0.5),
        ap75=coco.precision(0.75),
        ap_small=coco.precision(area=1),
        ap_medium=coco.precision(area=2),
        ap_large=coco.precision(area=3),
        ar=coco.recall(),
        ap_100=coco.precision(dets=0),
        max_dets=coco.params.maxDets[-1],
        voc_ap={threshold: float(np.mean(list(aps.values()))) if aps else math.nan for threshold, aps in voc.items()},
        images=len(truth.images),
        truth=sum(c.truth for c in categories),
        predicted=sum(c.predicted for c in categories),
        faults=Faults(
            sum(c.faults.split for c in categories),
            sum(c.faults.merged for c in categories),
            sum(c.faults.missed for c in categories),
            sum(c.faults.spurious for c in categories),
        ),
        categories=categories,
        notes=notes,
    )


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
