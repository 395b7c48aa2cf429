"""Panoptic quality: things and stuff judged alike, by how well segments that match cover each other.

Kirillov, He, Girshick, Rother and Dollár, *Panoptic Segmentation*, CVPR 2019, section 4:

- A true and a found segment of one category match where their intersection over union exceeds 0.5; there is one such
  partner at most, as segments do not overlap. Void pixels of the truth are out of the union.
- A found segment without a partner is no false positive if more than half of it lies in void or in crowds of its
  category. Crowds never match.
- Of each category, PQ = Σ IoU / (TP + FP/2 + FN/2), SQ = Σ IoU / TP and RQ = TP / (TP + FP/2 + FN/2); then the mean
  over the categories that occur in the truth or in what was found.

This is what panopticapi computes, too. Of several crowds of a category in an image, which COCO's files do not have, it
looks at the last one alone; here they count together, so that order means nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.instances import Instance, Labels, labels_from_instances

MATCHED = 0.5
"""Segments match above this intersection over union."""

DENSE = 4
"""Pairs of segments are counted in a table while it has no more cells than this many times the image's pixels."""

Ints = NDArray[np.integer[Any]]


@dataclass(slots=True)
class SegmentCounts:
    """Segments of a category that were compared.

    Attributes
    ----------
    ious : list of float
        Intersection over union of each pair that matches.
    unmatched_true, unmatched_found : int
        Segments without a partner: false negatives and false positives.
    """

    ious: list[float] = field(default_factory=list)
    unmatched_true: int = 0
    unmatched_found: int = 0

    @property
    def matched(self) -> int:
        """Number of pairs."""
        return len(self.ious)

    def quality(self) -> PanopticQuality:
        """Return PQ, SQ and RQ of the category; NaN where it has no segment.

        >>> SegmentCounts([0.6, 0.8], unmatched_true=1, unmatched_found=3).quality()
        PanopticQuality(pq=0.35, sq=0.7, rq=0.5, categories=1)
        """
        weight = self.matched + 0.5 * self.unmatched_true + 0.5 * self.unmatched_found
        if not weight:
            return PanopticQuality()
        iou = math.fsum(self.ious)  # exact, so that the order of images means nothing
        sq = iou / self.matched if self.matched else 0.0
        return PanopticQuality(iou / weight, sq, self.matched / weight, 1)


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """PQ, SQ and RQ in [0, 1], and over how many categories they are the mean; NaN over none."""

    pq: float = math.nan
    sq: float = math.nan
    rq: float = math.nan
    categories: int = 0


def mean_quality(counts: Iterable[SegmentCounts]) -> PanopticQuality:
    """Return the mean over categories; those without any segment do not count."""
    found = [quality for quality in (count.quality() for count in counts) if quality.categories]
    if not found:
        return PanopticQuality()
    sums = (math.fsum(getattr(quality, name) for quality in found) for name in ("pq", "sq", "rq"))
    pq, sq, rq = (total / len(found) for total in sums)
    return PanopticQuality(pq, sq, rq, len(found))


def compare_segments(
    predictions: Mapping[str, Sequence[Instance]],
    truth: GroundTruth,
    judged: Callable[[int], bool],
    watch: Watch = unwatched,
) -> tuple[dict[int, SegmentCounts], int]:
    """Match the segments of all images.

    Parameters
    ----------
    predictions : mapping
        Instances, things and stuff, by the stems of `truth`; void included. Where they overlap, the best score is in
        front.
    truth : GroundTruth
        Its instances, crowds, stuff and void. Where they overlap, void is in front, then the smallest. All other pixels
        are known to be none of them.
    judged : callable
        Says of a category whether it takes part.
    watch : Watch
        Sees how it goes on.

    Returns
    -------
    counts : dict
        What was found of each category that has a segment, in order of id.
    hidden : int
        Pixels that several segments claimed, on one side or the other; panoptic segmentation has none.
    """
    counts: dict[int, SegmentCounts] = {}
    hidden = 0
    for stem, image in watch(list(truth.images.items()), "Comparing segments"):
        found = [i for i in predictions.get(stem, ()) if i.area and judged(i.category)]
        true = [i for i in (*image.instances, *(image.stuff or ())) if judged(i.category)]
        crowds = [i for i in image.crowds if judged(i.category)]
        hidden += _compare(found, true, crowds, image, counts)
    return dict(sorted(counts.items())), hidden


def _compare(
    found: list[Instance], true: list[Instance], crowds: list[Instance], image: TruthImage, counts: dict[int, Any]
) -> int:
    """Match the segments of one image and add to the counts; return how many pixels were claimed twice."""
    found = sorted(found, key=lambda i: (i.score, -i.area, i.box))
    true = sorted(true, key=lambda i: (-i.area, i.box))
    found_labels = labels_from_instances(found, image.size)
    true_labels = labels_from_instances([*crowds, *true], image.size)
    hidden = _hidden(found, found_labels) + _hidden(true, np.where(true_labels > len(crowds), true_labels, 0))
    void = len(crowds) + len(true) + 1
    for region in (image.unlabeled, image.void):
        if region is not None:
            top, left, height, width = region.box
            true_labels[top : top + height, left : left + width][region.crop()] = void
    rows, columns, common = joint_counts(true_labels, found_labels, void, len(found))
    true_areas = np.bincount(rows, common, void + 1)
    found_areas = np.bincount(columns, common, len(found) + 1)
    in_void = np.bincount(columns, common * (rows == void), len(found) + 1)

    of_found = np.array([-1, *(i.category for i in found)])
    of_true = np.array([-1, *(i.category for i in (*crowds, *true)), -1])
    alike = (of_true[rows] == of_found[columns]) & (columns > 0)  # background and void have no category
    object_pair = alike & (rows > len(crowds))
    union = found_areas[columns] + true_areas[rows] - common - in_void[columns]
    ious = np.divide(common, union, out=np.zeros(len(common)), where=object_pair)
    pairs = object_pair & (ious > MATCHED)
    for category, iou in zip(of_true[rows[pairs]].tolist(), ious[pairs].tolist(), strict=True):
        counts.setdefault(category, SegmentCounts()).ious.append(iou)

    matched = set(rows[pairs].tolist())
    for number, instance in enumerate(true, start=len(crowds) + 1):
        if number not in matched:
            counts.setdefault(instance.category, SegmentCounts()).unmatched_true += 1
    in_crowd = np.bincount(columns, common * (alike & (rows <= len(crowds))), len(found) + 1)
    ignored = in_void + in_crowd > MATCHED * found_areas
    matched = set(columns[pairs].tolist())
    for number, instance in enumerate(found, start=1):
        if number not in matched and not ignored[number]:
            counts.setdefault(instance.category, SegmentCounts()).unmatched_found += 1
    return hidden


def _hidden(instances: Sequence[Instance], labels: Labels) -> int:
    return sum(i.area for i in instances) - int(np.count_nonzero(labels))


def joint_counts(first: Labels, second: Labels, most: int, others: int) -> tuple[Ints, Ints, Ints]:
    """Count the pixels of each pair of labels that occurs.

    Parameters
    ----------
    first, second : (H, W) arrays of int32
        Labels from 0 on.
    most, others : int
        The largest of each.

    Returns
    -------
    firsts, seconds, counts : (N,) arrays of ints
        The labels of each pair, in order, and the number of its pixels.

    Examples
    --------
    >>> found = joint_counts(np.array([[0, 1, 1]], np.int32), np.array([[2, 2, 2]], np.int32), 1, 2)
    >>> [part.tolist() for part in found]
    [[0, 1], [2, 2], [1, 2]]
    """
    codes = first.ravel().astype(np.int64) * (others + 1) + second.ravel()
    if (most + 1) * (others + 1) <= DENSE * codes.size:
        table = np.bincount(codes)
        places: Ints = np.flatnonzero(table)
        counts: Ints = table[places]
    else:
        places, counts = np.unique(codes, return_counts=True)
    return places // (others + 1), places % (others + 1), counts
