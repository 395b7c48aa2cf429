"""Connected components of a semantic mask: the simplest way from categories to objects."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer[Any]]
Labels = NDArray[np.int32]
Components = tuple[Labels, dict[int, int]]
"""Labels of connected components, and the category of each; see `label_components`."""

NEIGHBOURS = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1, :], np.s_[1:, :]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
)
"""Slices of an image that pair each pixel with half of its 8 neighbours, so that each pair of neighbours comes once."""


def label_components(mask: Ints, stuff: Collection[int] = (), connectivity: Literal[4, 8] = 8) -> Components:
    """Label the connected components of pixels of one category.

    Parameters
    ----------
    mask : (H, W) array of ints
        Semantic mask: category ids from 0; negative pixels (background, ignore) belong to nobody.
    stuff : collection of int
        Categories whose pixels form one segment each, connected or not.
    connectivity : {8, 4}
        Whether pixels touch at corners too (8), or at edges alone (4).

    Returns
    -------
    labels : (H, W) array of int32
        Labels from 1, in raster order of each component's first pixel; 0 where the mask is negative.
    categories : dict
        Category id of each label, in order of label.

    Examples
    --------
    >>> mask = np.array([[7, 7, -1, 7], [-1, -1, 7, -1], [3, -1, -1, 3]])
    >>> labels, categories = label_components(mask, connectivity=4)
    >>> labels
    array([[1, 1, 0, 2],
           [0, 0, 3, 0],
           [4, 0, 0, 5]], dtype=int32)
    >>> categories
    {1: 7, 2: 7, 3: 7, 4: 3, 5: 3}
    >>> label_components(mask, stuff=[3])[0]
    array([[1, 1, 0, 1],
           [0, 0, 1, 0],
           [2, 0, 0, 2]], dtype=int32)
    """
    if not mask.size:
        return np.zeros(mask.shape, np.int32), {}
    shifted = np.maximum(mask, -1).astype(np.int32, order="C", copy=False)
    shifted += 1
    components = cc3d.connected_components(shifted, connectivity=connectivity)
    labels, firsts = number_in_raster_order(components)
    found = mask.ravel()[firsts]
    if stuff:
        target = np.arange(len(firsts) + 1)
        for category in set(stuff):
            members = np.flatnonzero(found == category) + 1
            target[members] = members[:1]
        labels, firsts = number_in_raster_order(target[labels])
        found = mask.ravel()[firsts]
    return labels, dict(enumerate(found.tolist(), start=1))


def count_pixels(labels: Labels, *, least: int = 0) -> NDArray[np.int64]:
    """Count the pixels of each label from 0, for `least` labels at least, as `np.bincount` does, only faster.

    Parameters
    ----------
    labels : (H, W) array of ints
        Labels from 0; those of an image come in runs, far fewer than pixels.
    least : int
        Length of the answer, at least.

    Examples
    --------
    >>> count_pixels(np.array([[0, 2, 2], [2, 2, 0]]), least=4).tolist()
    [2, 0, 4, 0]
    """
    flat = labels.ravel()
    starts = _run_starts(flat)
    return np.bincount(flat[starts], np.diff(starts, append=len(flat)), least).astype(np.int64)


def _run_starts(flat: Ints) -> NDArray[np.int64]:
    """Return where runs of equal values start."""
    if not flat.size:
        return np.zeros(0, np.int64)
    return np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))


def number_densely(values: Ints) -> tuple[Ints, NDArray[np.int64]]:
    """Return the values that there are, in order, and the place of each value among them, as `np.unique` does.

    Where values are small a table is filled, which is faster than to sort.

    Parameters
    ----------
    values : (n,) array of ints
        Not negative.

    Examples
    --------
    >>> values, places = number_densely(np.array([7, 3, 7, 5]))
    >>> values.tolist(), places.tolist()
    ([3, 5, 7], [2, 0, 2, 1])
    """
    highest = int(values.max(initial=0))
    if highest > 64 * len(values):
        found, places = np.unique(values, return_inverse=True)
        return found, places
    there = np.zeros(highest + 1, bool)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]


def number_in_raster_order(labels: Ints) -> tuple[Labels, NDArray[np.int64]]:
    """Renumber labels from 1 in raster order of their first pixel, without gaps; 0 stays nobody's.

    Parameters
    ----------
    labels : (H, W) array of ints
        Labels from 0.

    Returns
    -------
    labels : (H, W) array of int32
    firsts : (n,) array of int64
        Index of each label's first pixel in the flattened image.

    Examples
    --------
    >>> labels, firsts = number_in_raster_order(np.array([[0, 9, 9], [4, 4, 9]]))
    >>> labels
    array([[0, 1, 1],
           [2, 2, 1]], dtype=int32)
    >>> firsts.tolist()
    [1, 3]
    """
    flat = labels.ravel()
    if not flat.size:
        return np.zeros(labels.shape, np.int32), np.zeros(0, np.int64)
    # A label's first pixel starts a run, and runs are far fewer than pixels.
    starts = _run_starts(flat)
    values, first_runs = np.unique(flat[starts], return_index=True)
    firsts = starts[first_runs]
    order = np.argsort(firsts)
    order = order[values[order] != 0]
    number = np.zeros(int(values[-1]) + 1, np.int32)
    number[values[order]] = np.arange(1, len(order) + 1)
    if len(number) == len(order) + 1 and (number[1:] == np.arange(1, len(number))).all():  # as cc3d leaves them
        return labels.astype(np.int32), firsts[order]
    return number[labels], firsts[order]
