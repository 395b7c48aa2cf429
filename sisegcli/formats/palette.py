"""Colours of instances, so that neighbours are easy to tell apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sisegcli.instances import Labels

Colours = NDArray[np.uint8]

PALETTE = np.array(
    [
        (255, 92, 72),
        (40, 170, 255),
        (255, 204, 40),
        (190, 105, 255),
        (60, 210, 90),
        (255, 120, 205),
        (0, 215, 205),
        (255, 150, 30),
        (105, 125, 255),
        (185, 225, 40),
        (235, 45, 125),
        (150, 210, 255),
    ],
    np.uint8,
)
"""Bright colours, far from each other, that follow one another in hue by leaps."""


def choose_colours(labels: Labels, count: int, reach: int = 1) -> Colours:
    """Choose a colour of `PALETTE` for each label from 1 to `count`, so that neighbours are easy to tell apart.

    Labels are neighbours where they come within `reach` pixels of each other along a row or a column. In order of
    label, each gets the colour farthest from those of its neighbours, among equals the next one in turn.

    Returns a (count, 3) array of uint8.

    Examples
    --------
    >>> choose_colours(np.array([[1, 2, 0]], np.int32), 2).tolist()
    [[255, 92, 72], [40, 170, 255]]
    """
    neighbours: list[set[int]] = [set() for _ in range(count + 1)]
    for step in {1, reach}:
        for a, b in ((labels[step:], labels[:-step]), (labels[:, step:], labels[:, :-step])):
            touching = (a != b) & (a > 0) & (b > 0)
            for code in np.unique(a[touching].astype(np.int64) * (count + 1) + b[touching]).tolist():
                low, high = sorted(divmod(code, count + 1))
                neighbours[high].add(low)  # only earlier labels have a colour to keep away from
    # Weights after "redmean", https://www.compuphase.com/cmetric.htm, without its dependence on red.
    points = PALETTE * np.sqrt([2.5, 4.0, 2.5])
    distances = np.sqrt(np.square(points[:, None] - points[None]).sum(axis=2))
    chosen = np.zeros(count + 1, np.intp)
    for label in range(1, count + 1):
        turn = np.roll(np.arange(len(PALETTE)), 1 - label)
        if neighbours[label]:
            nearest = distances[:, chosen[list(neighbours[label])]].min(axis=1)[turn]
            # Beyond this distance, all are far enough, and turns keep the picture varied.
            chosen[label] = turn[np.argmax(np.minimum(nearest, 300))]
        else:
            chosen[label] = turn[0]
    return PALETTE[chosen[1:]]
