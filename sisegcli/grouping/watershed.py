"""Distance-transform watershed: cuts touching blobs at their necks, the baseline that everybody knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.grouping.components import NEIGHBOURS, label_components, number_in_raster_order

Ints = NDArray[np.integer[Any]]
Labels = NDArray[np.int32]
Bool = NDArray[np.bool_]


def label_watershed(
    mask: Ints, stuff: Collection[int] = (), min_distance: float = 10.0, smoothing: float = 2.0
) -> tuple[Labels, dict[int, int]]:
    """Label the connected components of each category, cut at their necks.

    Parameters
    ----------
    mask : (H, W) array of ints
        Semantic mask: category ids from 0; negative pixels (background, ignore) belong to nobody.
    stuff : collection of int
        Categories whose pixels form one segment each; never cut.
    min_distance : float
        Two markers are further apart than this, in pixels; about the radius of the smallest object. Lower values cut
        more.
    smoothing : float
        Standard deviation of the Gaussian over the distance transform, in pixels. Lower values cut more.

    Returns
    -------
    labels : (H, W) array of int32
        Labels from 1, in raster order of each segment's first pixel; 0 where the mask is negative. Each pixel of a
        category has a label.
    categories : dict
        Category id of each label, in order of label.

    Notes
    -----
    Each 8-connected component is cut alone, see `split_region`.

    Examples
    --------
    Two squares with a bridge:

    >>> mask = np.full((5, 11), -1)
    >>> mask[:, :5] = mask[:, 6:] = mask[2] = 7
    >>> labels, categories = label_watershed(mask, min_distance=3, smoothing=0.5)
    >>> labels
    array([[1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2],
           [1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2],
           [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2],
           [1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2],
           [1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2]], dtype=int32)
    >>> categories
    {1: 7, 2: 7}
    """
    components, categories = label_components(mask, stuff)
    if not categories:
        return components, categories
    labels = components.copy()
    count = len(categories)
    stuff = set(stuff)
    for component, box in enumerate(ndimage.find_objects(components), start=1):
        rows, columns = (side.stop - side.start for side in box)
        # In a box this small no two markers are far enough apart.
        if categories[component] in stuff or (rows - 1) ** 2 + (columns - 1) ** 2 <= min_distance**2:
            continue
        # One pixel around it, so that its border lies in sight; the border of the image is none.
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        region = components[around] == component
        parts = split_region(region, min_distance, smoothing)
        further = parts > 1
        labels[around][further] = parts[further] + (count - 1)
        added = int(parts.max()) - 1
        categories.update(dict.fromkeys(range(count + 1, count + added + 1), categories[component]))
        count += added
    labels, firsts = number_in_raster_order(labels)
    return labels, dict(enumerate(np.asarray(mask).ravel()[firsts].tolist(), start=1))


def split_region(region: Bool, min_distance: float = 10.0, smoothing: float = 2.0) -> Labels:
    """Cut a connected region at its necks.

    Parameters
    ----------
    region : (h, w) array of bool
        An 8-connected region.
    min_distance, smoothing : float
        As in `label_watershed`.

    Returns
    -------
    (h, w) array of int32
        Labels of the parts, from 1, in order of height of their markers; 0 outside.

    Notes
    -----
    The height of a pixel is the smoothed distance to the border of the region. Each pixel climbs to its highest
    neighbour until it stands on a peak. From the highest down, peaks that are further than `min_distance` from all
    markers before them become markers. The slopes of the others join across the highest saddles, until each belongs to
    one marker: the watershed from markers as a minimum spanning forest (Meyer). Of equal heights, the first pixel in
    raster order is the higher.

    Examples
    --------
    Two squares, joined by a bridge of one pixel:

    >>> region = np.zeros((5, 11), bool)
    >>> region[:, :5] = region[:, 6:] = region[2, 5] = True
    >>> split_region(region, min_distance=3, smoothing=0.5)[2].tolist()
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    """
    if region.all():  # No border, so no distance to it.
        return np.ones(region.shape, np.int32)
    flat = np.flatnonzero(region)
    height = ndimage.gaussian_filter(ndimage.distance_transform_edt(region), smoothing)
    # Pixels are named by rank from here on: 0 is the highest.
    pixels = flat[np.argsort(-height.ravel()[flat], kind="stable")]
    rank = np.full(region.shape, len(pixels), np.int32)
    rank.ravel()[pixels] = np.arange(len(pixels))
    peak = ndimage.minimum_filter(rank, 3, mode="nearest").ravel()[pixels]
    while not np.array_equal(peak, higher := peak[peak]):
        peak = higher

    markers = _spread(np.flatnonzero(peak == np.arange(len(peak))), pixels, region.shape[1], min_distance)
    labels = np.zeros(region.shape, np.int32)
    if len(markers) == 1:
        labels[region] = 1
        return labels
    owner = _join_slopes(rank, peak, markers)
    labels.ravel()[pixels] = np.array([owner[summit] for summit in peak.tolist()])
    return labels


def _spread(peaks: Ints, pixels: Ints, width: int, min_distance: float) -> list[int]:
    """Choose peaks, from the highest down, that are further than a distance from all chosen before."""
    positions = np.stack(np.divmod(pixels[peaks], width), axis=1)
    chosen: list[int] = []
    free = np.ones(len(peaks), bool)
    while free.any():
        first = int(free.argmax())
        chosen.append(int(peaks[first]))
        free &= ((positions - positions[first]) ** 2).sum(axis=1) > min_distance**2
    return chosen


def _join_slopes(rank: Ints, peak: Ints, markers: list[int]) -> dict[int, int]:
    """Join the slopes of all peaks to markers across the highest saddles; return the number of each peak's marker."""
    inside = rank < len(peak)
    saddles, pairs = [], []
    for near, far in NEIGHBOURS:
        touch = inside[near] & inside[far]
        a, b = rank[near][touch], rank[far][touch]
        apart = peak[a] != peak[b]
        a, b = a[apart], b[apart]
        saddles.append(np.maximum(a, b))
        a, b = np.minimum(peak[a], peak[b]), np.maximum(peak[a], peak[b])
        pairs.append(a.astype(np.int64) * len(peak) + b)
    saddle, pair = np.concatenate(saddles), np.concatenate(pairs)
    # The highest saddle of each pair of slopes, from the highest down.
    pair = pair[np.lexsort((pair, saddle))]
    pair = pair[np.sort(np.unique(pair, return_index=True)[1])]
    parent = {summit: summit for summit in np.unique(peak).tolist()}
    number = {summit: label for label, summit in enumerate(markers, start=1)}

    def find(summit: int) -> int:
        while parent[summit] != summit:
            parent[summit] = summit = parent[parent[summit]]
        return summit

    for one, other in zip(*(side.tolist() for side in np.divmod(pair, len(peak))), strict=True):
        high, low = sorted((find(one), find(other)), key=lambda summit: summit not in number)
        if low not in number:
            parent[low] = high
    return {summit: number[find(summit)] for summit in parent}
