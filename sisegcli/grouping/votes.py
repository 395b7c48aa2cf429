"""Votes: where pixels point to, clustered into candidate objects."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Bool = NDArray[np.bool_]


def cluster_votes(
    displacement: Floats, categories: NDArray[np.integer[Any]], *, reach: float = 2.5, least: int = 4
) -> Labels:
    """Group the pixels of each category by where their (refined) displacement ends.

    Cells in which votes end are joined where they lie within `reach` of each other; each such cluster is a candidate
    object, wherever its pixels are: fragments whose votes meet are one.

    Parameters
    ----------
    displacement : (h, w, 2) array of float32
        Offset (y, x) from each pixel to where its vote ends, in pixels of this grid.
    categories : (h, w) array of ints
        Category of each pixel; below 0 takes no part.
    reach : float
        Votes closer than about this many pixels meet.
    least : int
        A cluster of fewer votes is no candidate: its pixels go to the nearest cluster of their category.

    Returns
    -------
    (h, w) array of int32
        Candidate objects from 1; 0 where no pixel takes part.

    Examples
    --------
    Two objects in a row of one category, each of which points to its own middle:

    >>> displacement = np.zeros((1, 12, 2), np.float32)
    >>> displacement[0, :, 1] = np.array([1] * 6 + [10] * 6) - np.arange(12)
    >>> cluster_votes(displacement, np.zeros((1, 12), int)).tolist()
    [[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]]
    """
    height, width = categories.shape
    labels = np.zeros((height, width), np.int32)
    count = 0
    for category in np.unique(categories[categories >= 0]):
        ys, xs = np.nonzero(categories == category)
        ends = np.stack((ys, xs), 1) + displacement[ys, xs]
        cells = np.clip(np.rint(ends).astype(np.intp), 0, (height - 1, width - 1))
        votes = np.zeros((height, width), np.int32)
        np.add.at(votes, (cells[:, 0], cells[:, 1]), 1)
        hit = votes > 0
        # Cells within reach: grown discs of half the reach overlap.
        near = ndimage.distance_transform_edt(~hit) <= reach / 2
        groups = cc3d.connected_components(near, connectivity=8).astype(np.int32)
        sizes = np.bincount(groups.ravel(), votes.ravel())
        strong = sizes >= min(least, sizes[1:].max(initial=0))
        strong[0] = False
        if not strong[groups[hit]].all():
            _, (near_y, near_x) = ndimage.distance_transform_edt(~(strong[groups] & hit), return_indices=True)
            groups = groups[near_y, near_x]
        chosen = groups[cells[:, 0], cells[:, 1]]
        numbers, dense = np.unique(chosen, return_inverse=True)
        labels[ys, xs] = dense.astype(np.int32) + count + 1
        count += len(numbers)
    return labels
