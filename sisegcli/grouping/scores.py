"""Scores that rank: how likely an instance is one whole object."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray


def score_instances(
    labels: NDArray[np.int32],
    categories: Mapping[int, int],
    evidence: Mapping[int, float],
    *,
    stuff: Collection[int] = (),
) -> dict[int, float]:
    """Score instances in [0, 1].

    An instance's score is its share of its category's pixels in the image, times the evidence for its borders. Crumbs
    beside a large object and members of a crowd are the ones that are most often wrong, an object that is its
    category's only one is mostly right.

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
    return {
        label: 1.0 if category in stuff else float(area[label]) / max(total[category], 1) * evidence[label]
        for label, category in categories.items()
    }
