"""How doubtful instances and images are, from scores alone.

The score of an instance that the network's method found is its share of its category's pixels, times a factor for its
size, times what the network saw: the evidence for its borders and the agreement of its outline with the boundary map
(`sisegcli.grouping.scores`). Share and size are known from the instances themselves, so

    doubt of an instance = 1 − score / (share · √min(1, area / 2 % of the image))

is what the network saw alone, in [0, 1]; stuff has none. Scores of other programs are taken as they are: 1 − score.
Scores that say how large an instance is and nothing else, as those of the baselines, give no doubt at all.

The doubt of an image is the largest among its instances; those below 0.1 % of the image count only where there is no
larger one, as most of them are crumbs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sisegcli.categories import Categories
from sisegcli.grouping.scores import size_score
from sisegcli.instances import Instance

CRUMB = 0.001
"""Share of the image below which an instance's doubt counts only where there is no larger instance."""

BASELINE_SHARES = (0.25, 1.0)
"""Shares of the image from which scores by size alone are 1: the baselines', and those given to PNGs without scores."""

ROUNDING = 1e-6 + 1e-9
"""Outputs hold scores with six digits."""

Images = Iterable[Sequence[Instance]]


def scores_by_size(images: Images) -> bool:
    """Return whether scores tell nothing but sizes: all are equal, or a share of the image."""
    found = [(i.score, i.area / (i.size[0] * i.size[1])) for instances in images for i in instances]
    if not found:
        return True
    scores, shares = np.array(found).T
    if len(found) > 1 and (scores == scores[0]).all():
        return True
    return any(bool((abs(scores - np.minimum(1, shares / whole)) < ROUNDING).all()) for whole in BASELINE_SHARES)


def scores_by_evidence(images: Images, categories: Categories) -> bool:
    """Return whether no score is higher than share and size of its instance allow, as the network's method has it."""
    for instances in images:
        for instance, highest in zip(instances, _highest(instances, categories), strict=True):
            if instance.score > highest + 1e-3:
                return False
    return True


def instance_doubts(instances: Sequence[Instance], categories: Categories, *, by_evidence: bool) -> list[float]:
    """Return the doubt of each instance of an image, in [0, 1].

    Parameters
    ----------
    instances : sequence of Instance
        All instances of the image.
    categories : Categories
        Tells which are stuff.
    by_evidence : bool
        Whether scores are those of the network's method.

    Examples
    --------
    >>> halves = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool)
    >>> sure, unsure = (Instance.from_mask(half, 5, score) for half, score in ((halves, 0.5), (~halves, 0.125)))
    >>> instance_doubts([sure, unsure], Categories(), by_evidence=True)
    [0.0, 0.75]
    """
    if not by_evidence:
        return [min(max(1 - i.score, 0.0), 1.0) for i in instances]
    return [
        min(max(1 - i.score / max(highest, 1e-9), 0.0), 1.0)
        for i, highest in zip(instances, _highest(instances, categories), strict=True)
    ]


def image_doubt(instances: Sequence[Instance], doubts: Sequence[float]) -> float:
    """Return the doubt of an image, in [0, 1]; see the module."""
    large = [d for i, d in zip(instances, doubts, strict=True) if i.area >= CRUMB * i.size[0] * i.size[1]]
    return max(large or doubts, default=0.0)


def _highest(instances: Sequence[Instance], categories: Categories) -> list[float]:
    """Return the score that each instance would have without any doubt."""
    total: dict[int, int] = {}
    for i in instances:
        total[i.category] = total.get(i.category, 0) + i.area
    return [
        size_score(i.area, total[i.category], i.size[0] * i.size[1]) if categories.isthing(i.category) else 1.0
        for i in instances
    ]
