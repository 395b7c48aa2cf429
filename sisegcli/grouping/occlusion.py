"""Occlusion: pieces of a category with an object of another one between them are mostly one object, partly hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

Ints = NDArray[np.integer[Any]]
Labels = NDArray[np.int32]

NEAR = 0.6
"""Pieces are looked at whose gap is below this, in sizes (square root of the area) of the smaller one."""
FACING = 0.15
"""Outlines face each other where their distance exceeds the gap by less than this, in sizes of the smaller one."""
HIDDEN = 0.8
"""Share of the lines between two pieces that lies on other things, from which these hide the rest of one object."""
LINES = 20
"""Lines between two pieces that are looked along, at most."""


def find_hidden_links(labels: Labels, categories: Ints, numbers: Sequence[int]) -> list[tuple[float, int, int]]:
    """Find pairs of pieces of one category between which other things lie.

    Parameters
    ----------
    labels : (h, w) array of int32
        Pieces of the cells; 0 is none.
    categories : (h, w) array of ints
        Thing category of the cells, below 0 where there is none.
    numbers : sequence of int
        The pieces to compare, all of one category.

    Returns
    -------
    list of tuple
        Gap, in sizes of the smaller piece, and the two pieces, lower number first.

    Examples
    --------
    >>> labels = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 4, np.int32)
    >>> categories = np.array([[7, 7, 7, 7, 4, 7, 7, 7, 7]] * 4)
    >>> [(a, b) for _, a, b in find_hidden_links(labels, categories, [1, 2])]
    [(1, 2)]
    >>> find_hidden_links(labels, np.where(categories == 4, -1, categories), [1, 2])
    []
    """
    numbers = sorted(numbers)
    things = categories[categories >= 0]
    if len(numbers) < 2 or not (things != things[:1]).any():
        return []
    boxes = ndimage.find_objects(labels, max_label=max(numbers))
    outlines = {number: _outline(labels, boxes[number - 1], number) for number in numbers}
    area = np.bincount(labels.ravel(), minlength=max(numbers) + 1)[numbers]
    size = np.sqrt(np.minimum(area[:, None], area[None]))
    near = _box_distance([boxes[number - 1] for number in numbers]) < NEAR * size
    found = []
    for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True):
        a, b = numbers[i], numbers[j]
        distance, nearest = KDTree(outlines[a]).query(outlines[b])
        gap = float(distance.min())
        if gap >= NEAR * size[i, j]:
            continue
        facing = np.flatnonzero(distance <= gap + FACING * size[i, j])
        facing = facing[:: max(1, len(facing) // LINES)]
        ends = zip(outlines[b][facing], outlines[a][nearest[facing]], strict=True)
        shares = [share for start, end in ends if (share := _hidden(labels, categories, start, end, (a, b))) >= 0]
        if shares and np.mean(shares) >= HIDDEN:
            found.append((gap / float(size[i, j]), a, b))
    return found


def _outline(labels: Labels, box: tuple[slice, slice], number: int) -> Ints:
    """Return the cells of a piece that have a 4-neighbour outside it."""
    rows, columns = box
    framed = np.pad(labels[rows, columns] == number, 1)
    inner = framed[2:, 1:-1] & framed[:-2, 1:-1] & framed[1:-1, 2:] & framed[1:-1, :-2]
    cells: Ints = np.argwhere(framed[1:-1, 1:-1] & ~inner) + np.array((rows.start, columns.start))
    return cells


def _box_distance(boxes: Sequence[tuple[slice, slice]]) -> NDArray[np.float64]:
    """Return the distances between boxes, which no distance of what is in them goes below."""
    square = np.zeros((len(boxes), len(boxes)))
    for axis in (0, 1):
        first = np.array([box[axis].start for box in boxes])
        last = np.array([box[axis].stop - 1 for box in boxes])
        apart = np.maximum(first[:, None] - last[None], first[None] - last[:, None])
        square += np.maximum(apart, 0) ** 2
    return np.sqrt(square)


def _hidden(labels: Labels, categories: Ints, start: Ints, end: Ints, pieces: tuple[int, int]) -> float:
    """Return the share of a line between two cells that lies on other categories' things; −1 if nothing is between."""
    count = max(4, int(2 * np.linalg.norm(end - start)))
    steps = np.linspace(0, 1, count)[1:-1, None]
    rows, columns = np.round(start + (end - start) * steps).astype(np.intp).T
    on = labels[rows, columns]
    outside = (on != pieces[0]) & (on != pieces[1])
    if not outside.any():
        return -1.0
    across = categories[rows, columns]
    other = (across >= 0) & (across != categories[tuple(start)]) & outside
    return float(np.count_nonzero(other) / np.count_nonzero(outside))
