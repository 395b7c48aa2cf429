"""Scores that rank: how likely an instance is one whole object."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

SURE_SHARE = 0.05
"""Share of the image from which size says nothing more about an instance."""


def score_instances(
    labels: NDArray[np.int32],
    categories: Mapping[int, int],
    evidence: Mapping[int, float],
    *,
    stuff: Collection[int] = (),
) -> dict[int, float]:
    """Score instances in [0, 1].

    An instance's score is its share of its category's pixels in the image, times the evidence for its borders, times
    the root of its area where that is below 5 % of the image. An object alone in its category is mostly right;
    crumbs beside a large object and members of a crowd are often wrong, and so are small regions of a network's mask.

    Parameters
    ----------
    labels : (H, W) array of int32
        Instances, from 1.
    categories : mapping
        Category of each label.
    evidence : mapping
        Weakest evidence among the borders of each label, 1 where it has none.
    stuff : collection of int
        Categories that are no objects: their segments score 1.

    Examples
    --------
    >>> score_instances(np.array([[1, 1, 1, 2]], np.int32), {1: 5, 2: 5}, {1: 1.0, 2: 1.0})
    {1: 0.75, 2: 0.25}
    """
    count = max(categories, default=0) + 1
    area = np.bincount(np.clip(labels.ravel(), 0, count - 1), minlength=count)
    total: dict[int, int] = {}
    for label, category in categories.items():
        total[category] = total.get(category, 0) + int(area[label])

    def score(label: int, category: int) -> float:
        share = float(area[label]) / max(total[category], 1)
        large = min(1.0, float(area[label]) / (SURE_SHARE * labels.size))
        return share * evidence[label] * math.sqrt(large)

    return {label: 1.0 if category in stuff else score(label, category) for label, category in categories.items()}
