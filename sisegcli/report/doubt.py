"""How doubtful instances, images and cuts are, from scores alone.

- The doubt of an **instance** is 1 − score.
- The doubt of an **image** is 1 − the product of its scores: how likely one of its instances is wrong, were scores
  probabilities and mistakes independent. They are neither, but images with errors do come first.
- The doubt of a **cut** is something else: members of a crowd have low scores, however clear the borders between them
  are. The score of an instance that the network's method found is its share of its category's pixels, times a factor
  for its size, times what the network saw, the evidence for its borders and the agreement of its outline with the
  boundary map (`sisegcli.grouping.scores`). Share and size are known from the instances themselves, so

      doubt of the cuts around an instance = 1 − score / (share · √min(1, area / 2 % of the image))

  is what the network saw alone; stuff is never cut. Scores of other programs are taken as they are: 1 − score.

Scores that say how large an instance is and nothing else, as those of the baselines, give no doubt at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from sisegcli.categories import Categories
from sisegcli.grouping.scores import size_score
from sisegcli.instances import Instance

BASELINE_SHARES = (0.25, 1.0)
"""Shares of the image from which scores by size alone are 1: the baselines', and those given to PNGs without scores."""

ROUNDING = 1e-6 + 1e-9
"""Outputs hold scores with six digits."""

Images = Iterable[Sequence[Instance]]


def scores_by_size(images: Images) -> bool:
    """Return whether scores tell nothing but sizes: all are equal, or a share of the image.

    Examples
    --------
    >>> half, rest = np.array([[1, 1, 0, 0]], bool), np.array([[0, 0, 0, 1]], bool)
    >>> scores_by_size([[Instance.from_mask(half, 5, score=0.5), Instance.from_mask(rest, 5, score=0.25)]])
    True
    >>> scores_by_size([[Instance.from_mask(half, 5, score=0.9), Instance.from_mask(rest, 5, score=0.4)]])
    False
    """
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


def instance_doubts(instances: Sequence[Instance]) -> list[float]:
    """Return the doubt of each instance, in [0, 1].

    Examples
    --------
    >>> instance_doubts([Instance.from_mask(np.ones((2, 2), bool), 5, score=0.75)])
    [0.25]
    """
    return [min(max(1 - i.score, 0.0), 1.0) for i in instances]


def image_doubt(doubts: Sequence[float]) -> float:
    """Return the doubt of an image, in [0, 1], from those of its instances.

    Examples
    --------
    >>> image_doubt([0.5, 0.5]), image_doubt([])
    (0.75, 0.0)
    """
    return 1.0 - math.prod(1 - doubt for doubt in doubts)


def cut_doubts(instances: Sequence[Instance], categories: Categories) -> list[float]:
    """Return the doubt of the cuts around each instance of an image, in [0, 1], if scores are the network's method's.

    Examples
    --------
    >>> half = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool)
    >>> sure, unsure = Instance.from_mask(half, 5, score=0.5), Instance.from_mask(~half, 5, score=0.125)
    >>> cut_doubts([sure, unsure], Categories())
    [0.0, 0.75]
    """
    return [
        min(max(1 - i.score / max(highest, 1e-9), 0.0), 1.0)
        for i, highest in zip(instances, _highest(instances, categories), strict=True)
    ]


def _highest(instances: Sequence[Instance], categories: Categories) -> list[float]:
    """Return the score that each instance would have without any doubt."""
    total: dict[int, int] = {}
    for i in instances:
        total[i.category] = total.get(i.category, 0) + i.area
    return [
        size_score(i.area, total[i.category], i.size[0] * i.size[1]) if categories.isthing(i.category) else 1.0
        for i in instances
    ]
