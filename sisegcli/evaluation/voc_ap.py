"""VOC's average precision for instances: the whole area under the curve of precision over recall, at one overlap."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sisegcli.evaluation.matching import Floats, Match
from sisegcli.instances import Bool


def voc_ap(matches: Iterable[Match], threshold: float) -> dict[int, float]:
    """Compute the average precision of each category that has true objects.

    A prediction belongs to the true object that it overlaps most. It is right if that overlap reaches the threshold
    and no better one was right about the same object before; else it is wrong, so a second claim on an object is. A
    prediction that reaches the threshold with a crowd alone counts neither way.

    Parameters
    ----------
    matches : iterable of Match
        Overlaps of each image and category.
    threshold : float
        Smallest intersection over union that counts.

    Notes
    -----
    The rule of VOC's devkit (`VOCevaldet.m`, of 2010 and later), with masks in place of boxes, as Hariharan et al.
    (*Simultaneous Detection and Segmentation*, ECCV 2014) use it, and IRNet after them. COCO's rule differs: there, a
    second claim may fall to another object.

    Examples
    --------
    >>> from sisegcli.evaluation.matching import match
    >>> from sisegcli.evaluation.truth import GroundTruth, TruthImage
    >>> from sisegcli.instances import Instance
    >>> cat = Instance.from_mask(np.array([[1, 1, 0]], bool), category=8)
    >>> mouse = Instance.from_mask(np.array([[0, 0, 1]], bool), category=8)
    >>> voc_ap(match({"a": [cat]}, GroundTruth({"a": TruthImage((1, 3), [cat, mouse])})), 0.5)
    {8: 0.5}
    """
    scores: dict[int, list[float]] = {}
    right: dict[int, list[bool]] = {}
    objects: dict[int, int] = {}
    for m in matches:
        objects[m.category] = objects.get(m.category, 0) + m.objects
        taken = set()
        for score, overlaps in zip(m.scores.tolist(), m.ious, strict=True):
            best = int(overlaps[: m.objects].argmax()) if m.objects else None
            hit = best is not None and bool(overlaps[best] >= threshold)
            if not hit and bool((overlaps[m.objects :] >= threshold).any()):
                continue
            scores.setdefault(m.category, []).append(score)
            right.setdefault(m.category, []).append(hit and best not in taken)
            if hit:
                taken.add(best)
    return {
        category: average_precision(np.array(scores.get(category, [])), np.array(right.get(category, []), bool), count)
        for category, count in sorted(objects.items())
        if count
    }


def average_precision(scores: Floats, right: Bool, objects: int) -> float:
    """Integrate precision over recall, where precision is the best at this recall or a higher one.

    Parameters
    ----------
    scores : (N,) array
        Scores of predictions, in any order; equal ones keep theirs.
    right : (N,) array of bool
        Which of them are right.
    objects : int
        Number of true objects.

    Examples
    --------
    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2) == (1 + 2 / 3) / 2
    True
    """
    hits = right[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[hits].sum() / objects)
