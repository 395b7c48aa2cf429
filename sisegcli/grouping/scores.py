"""Scores that rank: how likely an instance is one whole object."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from sisegcli.grid import highest_around
from sisegcli.grouping.components import count_pixels

DOUBT = 0.05
"""Exponent of the probability of being one object."""
UNASKED = 0.5
"""That probability, for instances that nobody was asked about."""
SURE_SHARE = 0.02
"""Share of the image from which size says nothing more about an instance."""


def score_instances(
    labels: NDArray[np.int32],
    categories: Mapping[int, int],
    evidence: Mapping[int, float],
    *,
    agreement: Mapping[int, float] | None = None,
    singles: Mapping[int, float] | None = None,
    stuff: Collection[int] = (),
    sized: bool = True,
) -> dict[int, float]:
    """Score instances in [0, 1].

    An instance's score is its share of its category's pixels in the image, times the evidence for its borders, times
    the root of its area where that is below 2 % of the image, times the root of the agreement of its outline with the
    boundary map, and, where a wholeness network was asked, times the twentieth root of the probability that it is one
    object. An object alone in its category is mostly right; crumbs beside a large object and members of a crowd
    are often wrong, and so are small regions of a network's mask, and those that end where the image shows no end.

    Parameters
    ----------
    labels : (H, W) array of int32
        Instances, from 1.
    categories : mapping
        Category of each label.
    evidence : mapping
        Weakest evidence among the borders of each label, 1 where it has none.
    agreement : mapping, optional
        Mean boundary along the outline of each label, see `outline_agreement`.
    singles : mapping, optional
        Probability that a label is one object; `UNASKED` where it is missing.
    stuff : collection of int
        Categories that are no objects: their segments score 1.
    sized : bool
        Whether size counts. Without, a score times `size_score` is the score with it.

    Examples
    --------
    >>> score_instances(np.array([[1, 1, 1, 2]], np.int32), {1: 5, 2: 5}, {1: 1.0, 2: 1.0})
    {1: 0.75, 2: 0.25}
    """
    count = max(categories, default=0) + 1
    area = count_pixels(labels, least=count)
    total: dict[int, int] = {}
    for label, category in categories.items():
        total[category] = total.get(category, 0) + int(area[label])

    def score(label: int, category: int) -> float:
        share = float(area[label]) / max(total[category], 1)
        large = min(1.0, float(area[label]) / (SURE_SHARE * labels.size))
        seen = agreement[label] if agreement is not None else 1.0
        single = 1.0 if singles is None else singles.get(label, UNASKED) ** DOUBT
        if not sized:
            return evidence[label] * math.sqrt(seen) * single
        return share * evidence[label] * math.sqrt(large * seen) * single

    return {label: 1.0 if category in stuff else score(label, category) for label, category in categories.items()}


def size_score(area: int, total: int, pixels: int) -> float:
    """Return what size adds to a score, as a factor: see `score_instances`.

    Parameters
    ----------
    area : int
        Pixels of the instance.
    total : int
        Pixels of its category's instances.
    pixels : int
        Pixels of the image.

    Examples
    --------
    >>> size_score(area=10, total=20, pixels=2000)
    0.25
    """
    return area / max(total, 1) * math.sqrt(min(1.0, area / (SURE_SHARE * pixels)))


def outline_agreement(labels: NDArray[np.int32], boundary: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean boundary along the outline of each label; 1 for a label that has none.

    Parameters
    ----------
    labels : (h, w) array of int32
        Instances of the cells, from 1; 0 is nobody. The sides of the image are no outlines.
    boundary : (h, w) array of float32
        Probability of a boundary; an outline may miss its ridge by a cell.

    Examples
    --------
    >>> labels = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0]], np.int32)
    >>> boundary = np.array([[0, 0, 0, 0, 0.5, 0], [0, 0, 0, 0, 1, 0]], np.float32)
    >>> outline_agreement(labels, boundary).tolist()
    [1.0, 1.0]
    """
    outline = np.zeros(labels.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[one] != labels[other]
        outline[one] |= differ
        outline[other] |= differ
    outline &= labels > 0
    count = int(labels.max(initial=0)) + 1
    length = np.bincount(labels[outline], minlength=count)
    total = np.bincount(labels[outline], highest_around(boundary, 1)[outline], count)
    return np.where(length > 0, total / np.maximum(length, 1), 1.0)
