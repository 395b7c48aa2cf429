"""What a perfect network would say of known instances, on the stride-4 grid, and how to compare partitions."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

STRIDE = 4


def cells_of(labels: np.ndarray) -> np.ndarray:
    """Take the label in the middle of each cell."""
    rows, columns = (np.minimum(np.arange(0, n, STRIDE) + STRIDE // 2, n - 1) for n in labels.shape)
    return labels[np.ix_(rows, columns)]


def ideal_fields(labels: np.ndarray, wall: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Return displacement to the instances' centroids, and a boundary of `wall` on both sides of every border.

    Background points to the instance that is nearest.
    """
    cells = cells_of(labels)
    near = ndimage.distance_transform_edt(cells == 0, return_distances=False, return_indices=True)
    owner = cells[tuple(near)]
    displacement = np.zeros((*cells.shape, 2), np.float32)
    for label in np.unique(cells[cells > 0]):
        displacement[owner == label] = np.argwhere(cells == label).mean(0) - np.argwhere(owner == label)
    edge = np.zeros(cells.shape, bool)
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differs = cells[one] != cells[other]
        edge[one] |= differs
        edge[other] |= differs
    return displacement, np.where(edge, np.float32(wall), np.float32(0))


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    """Return the sets of (flat) pixels that share a label above 0."""
    flat = labels.ravel()
    return {frozenset(np.flatnonzero(flat == label).tolist()) for label in np.unique(flat[flat > 0])}


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection over union of two masks."""
    return float((one & other).sum() / (one | other).sum())


def flood(alike: np.ndarray) -> np.ndarray:
    """Label 4-connected pixels of equal value above 0, one pixel after the other; 0 stays 0."""
    labels = np.zeros(alike.shape, np.int32)
    count = 0
    for start in np.argwhere(alike > 0).tolist():
        if labels[tuple(start)]:
            continue
        count += 1
        labels[tuple(start)] = count
        front = [start]
        while front:
            y, x = front.pop()
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= v < alike.shape[0] and 0 <= u < alike.shape[1]
                if inside and not labels[v, u] and alike[v, u] == alike[y, x]:
                    labels[v, u] = count
                    front.append([v, u])
    return labels
