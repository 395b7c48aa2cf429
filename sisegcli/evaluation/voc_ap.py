"""VOC's average precision for instances: the whole area under the precision-recall curve at one overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sisegcli.evaluation.matching import Floats, Match


def voc_ap(matches: Sequence[Match], threshold: float) -> dict[int, float]:
    """Compute the average precision of each category that has true objects.

    A prediction belongs to the true object that it overlaps most. It is right if that overlap reaches the threshold
    and no better-scored prediction was right about the same object; otherwise it is wrong, a second claim on an
    object too. Predictions that are only right about a crowd count neither way.

    Parameters
    ----------
    matches : sequence of Match
        Overlaps of each image and category.
    threshold : float
        Smallest intersection over union that counts.

    Notes
    -----
    The rule of VOC's devkit (2010 and later) with masks in place of boxes, as Hariharan et al. (ECCV 2014) and IRNet
    use it.
    """
    scores: dict[int, list[float]] = {}
    right: dict[int, list[bool]] = {}
    objects: dict[int, int] = {}
    for m in matches:
        count = int((~m.crowd).sum())
        objects[m.category] = objects.get(m.category, 0) + count
        taken = set()
        for score, row in zip(m.scores.tolist(), m.ious, strict=True):
            best = int(np.argmax(row[:count])) if count else -1
            hit = best >= 0 and row[best] >= threshold
            if not hit and (row[count:] >= threshold).any():
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


def average_precision(scores: Floats, right: np.ndarray, count: int) -> float:
    """Integrate precision over recall, precision made monotone from the right.

    >>> average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[right[order]].sum() / count)
