"""The evaluation: predictions against ground truth, one report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from sisegcli.categories import Categories
from sisegcli.errors import InputError
from sisegcli.evaluation.coco_ap import STANDARD_DETS, CocoEvaluation
from sisegcli.evaluation.faults import Faults, count_split_and_merged
from sisegcli.evaluation.matching import Match, align, match
from sisegcli.evaluation.panoptic import PanopticQuality, SegmentCounts, compare_segments, mean_quality
from sisegcli.evaluation.report import BoundaryPrecision, CategoryReport, Report
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.voc_ap import voc_ap
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.instances import Instance

VOC_IOUS = (0.25, 0.5, 0.7, 0.75)
"""Overlaps at which the literature on weak supervision gives VOC's AP."""

SHOWN_NAMES = 5
"""Differing names that a note lists; the rest are counted."""


def evaluate(
    predictions: Mapping[str, Sequence[Instance]],
    truth: GroundTruth,
    *,
    categories: Categories | None = None,
    notes: Iterable[str] = (),
    watch: Watch = unwatched,
) -> Report:
    """Compare predicted instances with the truth.

    Void pixels are taken out of the predictions first; crowds ignore what lies in them.

    Parameters
    ----------
    predictions : mapping
        Instances by stem. The objects of images that are not here count as missed; images that `truth` doesn't hold
        are ignored.
    truth : GroundTruth
        What is to be found.
    categories : Categories, optional
        Names that the predictions give their categories; the report notes where they differ from the truth's.
    notes : iterable of str
        Notes on how the predictions were read, to be part of the report.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    ImageError
        If predictions have another size than their image.
    InputError
        If there are predictions, but not one is for an image of the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from sisegcli.evaluation import TruthImage
    >>> cat = Instance.from_mask(np.array([[1, 1, 0]], bool), category=8)
    >>> dog = Instance.from_mask(np.array([[0, 0, 1]], bool), category=12)
    >>> report = evaluate({"a": [cat]}, GroundTruth({"a": TruthImage((1, 3), [cat, dog])}))
    >>> round(report.ap, 9), report.faults.missed
    (0.5, 1)
    """
    aligned = align(predictions, truth)
    if predictions and not aligned:
        raise InputError(
            f"No prediction is for an image of the ground truth: one is called {next(iter(predictions))}, the other "
            f"{next(iter(truth.images), None)}; give predictions of the same images."
        )
    matches = match(aligned, truth, watch)
    coco, edges = CocoEvaluation(matches), CocoEvaluation(matches, edges=True)
    voc = {iou: voc_ap(matches, iou) for iou in VOC_IOUS}
    names = Categories([*(categories or {}).values(), *truth.categories.values()])
    unmatched = coco.unmatched()
    panoptic = _Panoptic(aligned, truth, names, watch)
    rows = []
    for category in sorted({*coco.categories, *panoptic.counts}):
        segments = panoptic.counts.get(category, SegmentCounts())
        if category not in coco.categories:
            rows.append(_stuff_row(category, names.name(category), segments))
            continue
        mine = [m for m in matches if m.category == category]
        rows.append(
            CategoryReport(
                id=category,
                name=names.name(category),
                ap=coco.precision(category=category),
                ap50=coco.precision(0.5, category=category),
                voc_ap={iou: aps.get(category, math.nan) for iou, aps in voc.items()},
                truth=sum(m.objects for m in mine),
                predicted=sum(len(m.scores) for m in mine),
                faults=Faults(*count_split_and_merged(mine), *unmatched[category]),
                panoptic=segments.quality(),
                boundary_ap=edges.precision(category=category),
                curves=coco.curves(category),
            )
        )
    report = Report(
        ap=coco.precision(),
        ap50=coco.precision(0.5),
        ap75=coco.precision(0.75),
        ap_small=coco.precision(area="small"),
        ap_medium=coco.precision(area="medium"),
        ap_large=coco.precision(area="large"),
        ar=coco.recall(),
        max_dets=coco.max_dets,
        ap_at_100=coco.precision(max_dets=STANDARD_DETS),
        voc_ap={iou: sum(aps.values()) / len(aps) if aps else math.nan for iou, aps in voc.items()},
        images=len(truth.images),
        truth=sum(m.objects for m in matches),
        predicted=sum(len(m.scores) for m in matches),
        faults=sum((row.faults for row in rows), Faults()),
        boundary=BoundaryPrecision(
            ap=edges.precision(),
            ap50=edges.precision(0.5),
            ap75=edges.precision(0.75),
            ap_small=edges.precision(area="small"),
            ap_medium=edges.precision(area="medium"),
            ap_large=edges.precision(area="large"),
        ),
        panoptic=panoptic.means,
        categories=rows,
        notes=[*notes],
    )
    report.notes.extend(_note_images(len(predictions), len(aligned), len(truth.images)))
    report.notes.extend(_note_names(categories or Categories(), truth.categories))
    report.notes.extend(_note_figures(report, matches))
    report.notes.extend(panoptic.notes)
    return report


class _Panoptic:
    """Panoptic quality of things, and of stuff where both sides have some.

    Attributes
    ----------
    counts : dict
        Segments that matched and those that did not, by category.
    means : dict
        Quality of ``things``, ``stuff`` and ``all``.
    notes : list of str
        What a reader of it must know.
    """

    def __init__(
        self, predictions: Mapping[str, Sequence[Instance]], truth: GroundTruth, names: Categories, watch: Watch
    ) -> None:
        self.notes: list[str] = []
        images = truth.images.values()
        objects = {i.category for image in images for i in (*image.instances, *image.crowds)}
        has_stuff = any(not names.isthing(i.category) for found in predictions.values() for i in found)
        both = has_stuff and (truth.knows_stuff or not all(map(names.isthing, objects)))
        if truth.knows_stuff and not has_stuff:
            self.notes.append("There is no stuff among the predictions, so PQ is that of things alone.")

        def judged(category: int) -> bool:
            return names.isthing(category) or (both and (truth.knows_stuff or category in objects))

        self.counts, hidden = compare_segments(predictions, truth, judged, watch)
        if hidden:
            self.notes.append(
                f"PQ is about segments that do not overlap, but {hidden:,} pixels belong to several here: predictions "
                "with better scores, and smaller true objects, are taken to be in front."
            )
        things = {category: count for category, count in self.counts.items() if names.isthing(category)}
        self.means: dict[str, PanopticQuality] = {"things": mean_quality(things.values())}
        if both:
            stuff = [count for category, count in self.counts.items() if category not in things]
            self.means = {"all": mean_quality(self.counts.values()), **self.means, "stuff": mean_quality(stuff)}


def _stuff_row(category: int, name: str, segments: SegmentCounts) -> CategoryReport:
    """Return the row of a category that only panoptic quality knows."""
    return CategoryReport(
        id=category,
        name=name,
        ap=math.nan,
        ap50=math.nan,
        voc_ap=dict.fromkeys(VOC_IOUS, math.nan),
        truth=segments.matched + segments.unmatched_true,
        predicted=segments.matched + segments.unmatched_found,
        faults=Faults(),
        panoptic=segments.quality(),
        compared=False,
    )


def _note_images(predicted: int, aligned: int, images: int) -> Iterable[str]:
    if predicted > aligned:
        yield f"Ignored: predictions of images that are not in the ground truth ({predicted - aligned})."
    if images > aligned:
        yield f"Without predictions: {images - aligned} of {images} images; their objects count as missed."


def _note_names(predicted: Categories, true: Categories) -> Iterable[str]:
    unnamed = Categories()
    other = [
        f"{category} is {found.name} there, but {true.name(category)} in the truth"
        for category, found in predicted.items()
        if category in true and found.name not in (true.name(category), unnamed.name(category))
    ]
    if other:
        more = f"; and {len(other) - SHOWN_NAMES} more" if len(other) > SHOWN_NAMES else ""
        yield (
            f"The predictions name categories differently ({'; '.join(other[:SHOWN_NAMES])}{more}): categories are "
            "compared by id, so the ids must agree."
        )


def _note_figures(report: Report, matches: Sequence[Match]) -> Iterable[str]:
    strange = [row for row in report.categories if row.compared and not row.truth and row.predicted]
    if strange:
        yield (
            f"{sum(row.predicted for row in strange)} predictions are of categories without true objects "
            f"({', '.join(row.name for row in strange)}): spurious, but in no AP, as COCO and VOC have it."
        )
    scores = {score for m in matches for score in m.scores.tolist()}
    if len(scores) == 1 and report.predicted > 1:
        yield "All predictions have the same score, so their rank, and AP with it, is arbitrary."
    if report.max_dets > STANDARD_DETS:
        yield (
            f"AP counts up to {report.max_dets} predictions of an image and category; with COCO's standard of "
            f"{STANDARD_DETS} it would be {100 * report.ap_at_100:.1f} %."
        )
