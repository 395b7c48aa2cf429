"""Instance borders at full resolution: scores of the coarse grid decide for each pixel of a region."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from sisegcli.grouping.components import NEIGHBOURS, count_pixels, label_components

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]
Labels = NDArray[np.int32]

BAND = 256
"""Rows that are upsampled at once, so that large images need little memory."""


def spread_labels(
    coarse: Floats, regions: Ints, allowed: Mapping[int, Collection[int]], stride: int = 4, smallest: int = 20
) -> Labels:
    """Give each pixel of a region the allowed label with the highest upsampled score, without stray islands.

    Parameters
    ----------
    coarse : (h, w, k) array of float32
        Score of each of k labels on the coarse grid; cell (i, j) covers a square of `stride` pixels and holds the score
        of its middle: (4 i + 1.5, 4 j + 1.5) for stride 4.
    regions : (H, W) array of ints
        Region of each pixel, from 1; 0 is in no region.
    allowed : mapping
        For each region, the indices (from 0) of the labels that its pixels may have. Pixels of regions that are not
        named, or that may have no label, belong to nobody.
    stride : int
        Pixels of the image a cell of the grid.
    smallest : int
        Islands below this area are strays, in pixels, see `absorb_islands`.

    Returns
    -------
    (H, W) array of int32
        Index + 1 of each pixel's label; 0 is nobody.

    Notes
    -----
    Scores are interpolated bilinearly, and constant beyond the outermost middles. Of equal scores the lower index wins.
    Regions with one label are filled without a look at the scores.

    Examples
    --------
    Two labels whose scores fall towards each other; the lower region may have the second alone:

    >>> coarse = np.array([[[1, 0], [0, 1]], [[1, 0], [0, 1]]], np.float32)
    >>> regions = np.array([[1, 1, 1, 1, 1, 1, 0, 0], [0, 2, 2, 2, 2, 2, 2, 0]])
    >>> spread_labels(coarse, regions, {1: [0, 1], 2: [1]})
    array([[1, 1, 1, 1, 2, 2, 0, 0],
           [0, 2, 2, 2, 2, 2, 2, 0]], dtype=int32)
    """
    fill = np.zeros(max(int(regions.max(initial=0)), *allowed, 0) + 1, np.int32)
    for region, indices in allowed.items():
        fill[region] = min(indices) + 1 if indices else 0
    labels = fill.take(regions)
    contested = [region for region, indices in allowed.items() if len(set(indices)) > 1]
    if not contested or not labels.any():
        return labels
    boxes = ndimage.find_objects(regions)
    for region in contested:
        box = boxes[region - 1] if region <= len(boxes) else None
        if box is None:
            continue
        inside = regions[box] == region
        chosen = np.where(inside, _highest(coarse, sorted(set(allowed[region])), box, stride) + 1, 0)
        labels[box][inside] = absorb_islands(chosen, smallest)[inside]
    return labels


def absorb_islands(labels: Labels, smallest: int = 20, share: float = 0.02) -> Labels:
    """Give stray islands of labels to the neighbours that they touch most.

    Parameters
    ----------
    labels : (h, w) array of int32
        Labels from 1; 0 is nobody, and stays so.
    smallest : int
        Islands below this area are strays, in pixels.
    share : float
        Islands below this part of the area of their label are strays too.

    Returns
    -------
    (h, w) array of int32
        Labels of the same pixels.

    Notes
    -----
    A label always keeps its largest 8-connected piece (the first in raster order of equal ones), and a piece stays as
    it is where it touches none that is larger. Pieces are judged from the largest down: a stray takes the label that
    most of its contacts with larger pieces have, the lower label of equal ones. A contact is a pair of 8-neighbours.

    Examples
    --------
    >>> absorb_islands(np.array([[1, 1, 1, 0, 1], [2, 1, 2, 2, 2]], np.int32), smallest=2)
    array([[1, 1, 1, 0, 2],
           [1, 1, 2, 2, 2]], dtype=int32)
    """
    pieces, categories = label_components(np.asarray(labels) - 1)
    owner = np.array([-1, *categories.values()]) + 1
    if len(owner) == len(set(owner.tolist())):
        return labels
    area = count_pixels(pieces, least=len(owner))
    total = np.bincount(owner[1:], area[1:])
    stray = area < np.maximum(smallest, share * total[owner])
    order = np.argsort(-area[1:], kind="stable") + 1
    stray[order[np.unique(owner[order], return_index=True)[1]]] = False

    place = np.empty(len(owner), np.intp)
    place[order] = np.arange(len(order))
    contacts = _contacts(pieces, len(owner))
    for piece in order[stray[order]].tolist():
        row = slice(contacts.indptr[piece], contacts.indptr[piece + 1])
        neighbours = contacts.indices[row]
        larger = place[neighbours] < place[piece]
        if larger.any():
            owner[piece] = np.bincount(owner[neighbours[larger]], contacts.data[row][larger]).argmax()
    absorbed: Labels = owner.astype(np.int32)[pieces]
    return absorbed


def _highest(coarse: Floats, indices: list[int], box: tuple[slice, slice], stride: int) -> Labels:
    """Return the index with the highest upsampled score, for each pixel of a box of the image."""
    rows, columns = box
    left, right, across = _cells(columns, coarse.shape[1], stride)
    highest = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.int32)
    for start in range(rows.start, rows.stop, BAND):
        band = slice(start, min(start + BAND, rows.stop))
        top, bottom, down = _cells(band, coarse.shape[0], stride)
        best = None
        chosen = highest[band.start - rows.start : band.stop - rows.start]
        for index in indices:
            plane = coarse[top[0] : bottom[-1] + 1, left[0] : right[-1] + 1, index]
            upper, lower = plane[top - top[0]], plane[bottom - top[0]]
            slim = upper + down[:, None] * (lower - upper)
            before, after = slim[:, left - left[0]], slim[:, right - left[0]]
            score = before + across * (after - before)
            if best is None:
                best = score
                chosen[:] = index
            else:
                better = score > best
                chosen[better] = index
                np.maximum(best, score, out=best)
    return highest


def _cells(pixels: slice, count: int, stride: int) -> tuple[Ints, Ints, Floats]:
    """Return the cells before and after the middles of pixels along one axis, and the weight of the one after."""
    position = (np.arange(pixels.start, pixels.stop) - (stride - 1) / 2) / stride
    position = np.clip(position, 0, count - 1)
    before = position.astype(np.intp)
    return before, np.minimum(before + 1, count - 1), (position - before).astype(np.float32)


def _contacts(pieces: Labels, count: int) -> sparse.csr_array:
    """Count the pairs of 8-neighbours between pieces, as a symmetric (count, count) matrix."""
    near, far = [], []
    for one, other in NEIGHBOURS:
        a, b = pieces[one], pieces[other]
        touch = (a != b) & (a > 0) & (b > 0)
        near.append(a[touch])
        far.append(b[touch])
    pairs = (np.concatenate(near), np.concatenate(far))
    once = sparse.csr_array((np.ones(len(pairs[0]), np.int32), pairs), shape=(count, count))
    return once + once.T
