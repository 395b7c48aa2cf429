"""Basins of the boundary map: vote clusters are cut along its ridges too, so that pieces do not lie across a border."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.grid import highest_around
from sisegcli.grouping.components import number_densely

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Ints = NDArray[np.integer[Any]]


def cut_at_ridges(clusters: Labels, boundary: Floats, *, sigma: float) -> Labels:
    """Cut clusters into the basins of the boundary map, one for each of its minima inside them.

    A watershed over-segments: membership decides afterwards what belongs together. SciPy's is an image foresting
    transform: a cell goes to the minimum that it reaches by the path whose largest step is smallest.

    Parameters
    ----------
    clusters : (h, w) array of int32
        Clusters from 1; 0 takes no part.
    boundary : (h, w) array of float32
        Probability of a boundary, in [0, 1].
    sigma : float
        Width of the Gaussian that smooths it, in cells.

    Returns
    -------
    (h, w) array of int32
        Parts of clusters, from 1 in the order of clusters and basins; 0 where there was none.

    Examples
    --------
    >>> clusters = np.array([[1, 1, 1, 1, 1, 1, 1, 2, 2, 0]], np.int32)
    >>> boundary = np.array([[0, 0, 0, 0.9, 0, 0, 0, 0, 0, 0]], np.float32)
    >>> cut_at_ridges(clusters, boundary, sigma=0.3).tolist()
    [[1, 1, 1, 2, 2, 2, 2, 3, 3, 0]]
    """
    inside = clusters > 0
    if not inside.any():
        return clusters
    smooth = np.where(inside, ndimage.gaussian_filter(boundary, sigma), np.inf)
    minima = (smooth == -highest_around(-smooth, max(1, round(2 * sigma)))) & inside
    markers, _ = ndimage.label(minima, np.ones((3, 3)))
    height = np.where(inside, np.clip(smooth, 0, 1) * 254, 255).astype(np.uint8)
    return cut_at_basins(clusters, height, markers.astype(np.int32))


def cut_at_basins(clusters: Labels, height: NDArray[np.uint8], markers: Labels) -> Labels:
    """Cut clusters into the basins of a height map around its markers: the second half of `cut_at_ridges`.

    Parameters
    ----------
    clusters : (h, w) array of int32
        Clusters from 1; 0 takes no part.
    height : (h, w) array of uint8
        Smoothed boundary, 254 for 1; 255 outside clusters.
    markers : (h, w) array of int32
        Minima inside clusters, from 1; 0 elsewhere.
    """
    inside = clusters > 0
    basins = ndimage.watershed_ift(height, markers)
    pairs = clusters.astype(np.int64) * (int(basins.max()) + 1) + basins
    cut = np.zeros(clusters.shape, np.int32)
    cut[inside] = number_densely(pairs[inside])[1] + 1
    return cut
