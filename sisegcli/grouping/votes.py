"""Votes: where pixels point to, clustered into candidate objects."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sisegcli.grid import highest_around
from sisegcli.grouping.components import number_densely

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Ints = NDArray[np.integer[Any]]


def cluster_by_density(displacement: Floats, categories: Ints, *, sigma: float = 2.0, peak: float = 0.1) -> Labels:
    """Group the pixels of each category by the nearest peak of the density of votes.

    Every pixel votes for the place that it points to. This finds more objects than there are: whether neighbours are
    two or one is decided afterwards, on evidence.

    Parameters
    ----------
    displacement : (h, w, 2) array of float32
        Offset (y, x) from each pixel to the centre of its object, in pixels of this grid.
    categories : (h, w) array of ints
        Category of each pixel; below 0 takes no part.
    sigma : float
        Width of the Gaussian that smooths the density, in pixels.
    peak : float
        A peak must be as high as this share of its category's highest one.

    Returns
    -------
    (h, w) array of int32
        Candidate objects from 1; 0 where no pixel takes part.

    Examples
    --------
    Two objects in a row of one category, each of which points to its own middle:

    >>> displacement = np.zeros((1, 12, 2), np.float32)
    >>> displacement[0, :, 1] = np.array([2] * 6 + [9] * 6) - np.arange(12)
    >>> cluster_by_density(displacement, np.zeros((1, 12), int), sigma=1.0).tolist()
    [[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]]
    """
    labels, count = np.zeros(categories.shape, np.int32), 0
    reach = max(1, round(sigma))
    for category in np.unique(categories[categories >= 0]):
        pixels = np.nonzero(categories == category)
        ends, votes = _votes(displacement, pixels)
        density = ndimage.gaussian_filter(votes, sigma, mode="constant")
        summits = (density == highest_around(density, reach)) & (density >= peak * density.max())
        chosen = _nearest(ndimage.label(summits, np.ones((3, 3)))[0], ends)
        numbers, dense = number_densely(chosen)
        labels[pixels] = dense.astype(np.int32) + count + 1
        count += len(numbers)
    return labels


def cluster_by_weak_field(
    refined: Floats, displacement: Floats, categories: Ints, *, weak: float = 2.5, least: int = 4
) -> Labels:
    """Group the pixels of each category by the component of weak displacement in which they come to rest.

    After IRNet: pixels whose displacement is shorter than `weak` form candidate centres by connected components, and a
    pixel belongs to the one where its refined displacement ends; wherever its pixels are, fragments whose votes meet
    are one object.

    Parameters
    ----------
    refined : (h, w, 2) array of float32
        Offset (y, x) from each pixel to where it comes to rest, in pixels of this grid.
    displacement : (h, w, 2) array of float32
        The field before refinement.
    categories : (h, w) array of ints
        Category of each pixel; below 0 takes no part.
    weak : float
        Displacements shorter than this are weak.
    least : int
        A candidate with fewer votes is none: its pixels go to the nearest other one of their category.

    Returns
    -------
    (h, w) array of int32
        Objects from 1; 0 where no pixel takes part.

    Examples
    --------
    >>> field = np.zeros((1, 12, 2), np.float32)
    >>> field[0, :, 1] = np.array([2] * 6 + [9] * 6) - np.arange(12)
    >>> cluster_by_weak_field(field, field, np.zeros((1, 12), int), weak=1.5).tolist()
    [[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]]
    """
    labels, count = np.zeros(categories.shape, np.int32), 0
    short = np.hypot(displacement[..., 0], displacement[..., 1]) < weak
    for category in np.unique(categories[categories >= 0]):
        inside = categories == category
        pixels = np.nonzero(inside)
        ends, votes = _votes(refined, pixels)
        # Places where votes end count as centres too: a field may jump over its weak pixels.
        groups = cc3d.connected_components((short & inside) | (votes > 0), connectivity=8).astype(np.int32)
        sizes = np.bincount(groups.ravel(), votes.ravel())
        strong = sizes >= min(least, sizes[1:].max(initial=0))
        strong[0] = False
        chosen = _nearest(np.where(strong[groups], groups, 0), ends)
        numbers, dense = number_densely(chosen)
        labels[pixels] = dense.astype(np.int32) + count + 1
        count += len(numbers)
    return labels


def _votes(displacement: Floats, pixels: tuple[Ints, ...]) -> tuple[tuple[Ints, Ints], Floats]:
    """Return the cells where the votes of pixels end, and how many end in each cell."""
    height, width = displacement.shape[:2]
    ends = np.stack(pixels, 1) + displacement[pixels]
    cells = np.clip(np.rint(ends).astype(np.intp), 0, (height - 1, width - 1))
    count = np.bincount(cells[:, 0] * width + cells[:, 1], minlength=height * width)
    return (cells[:, 0], cells[:, 1]), count.reshape(height, width).astype(np.float32)


def _nearest(marks: Ints, cells: tuple[Ints, Ints]) -> Ints:
    """Return the mark (above 0) that is nearest to each cell."""
    rows, columns = ndimage.distance_transform_edt(marks == 0, return_distances=False, return_indices=True)
    near: Ints = marks[rows[cells], columns[cells]]
    return near
