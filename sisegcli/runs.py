"""Runs of pixels: COCO's run-length codes as arrays of where runs begin and end.

Positions count pixels column by column, as COCO does: pixel (y, x) of an image of height H has the position x H + y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

Ints = NDArray[np.integer[Any]]


def encode_runs(starts: Ints, ends: Ints, size: tuple[int, int]) -> bytes:
    """Return COCO's compressed code of a mask.

    Parameters
    ----------
    starts, ends : (n,) arrays of ints
        First position of each run, and the one after its last; in order, and no two runs touch.
    size : tuple of int
        Height and width of the image, in pixels.

    Examples
    --------
    >>> right = np.array([[0, 1], [0, 1]], np.uint8, order="F")
    >>> encode_runs(np.array([2]), np.array([4]), (2, 2)) == coco_mask.encode(right)["counts"]
    True
    """
    pixels = size[0] * size[1]
    # Runs alternate gap, object, gap, object, …, gap (COCO's uncompressed counts).
    edges = np.empty(2 * len(starts) + 2, np.int64)
    edges[0], edges[-1] = 0, pixels
    edges[1:-1:2], edges[2:-1:2] = starts, ends
    counts = np.diff(edges)
    counts = counts if counts[-1] else counts[:-1]  # an object in the last pixel has no gap behind it
    rle = coco_mask.frPyObjects({"size": list(size), "counts": counts.tolist()}, *size)
    code: bytes = rle["counts"]
    return code


def decode_runs(code: bytes) -> tuple[Ints, Ints]:
    """Return where the runs of a mask begin and end, from COCO's compressed code, which is trusted.

    Examples
    --------
    >>> [found.tolist() for found in decode_runs(encode_runs(np.array([2, 9]), np.array([4, 12]), (3, 4)))]
    [[2, 9], [4, 12]]
    """
    # Groups of five bits, least first, the sixth bit meaning "more"; runs are differences to the run before the last.
    groups = np.frombuffer(code, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero((groups & 32) == 0)
    if not len(last):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first = np.concatenate(([0], last[:-1] + 1))
    shift = 5 * (np.arange(len(groups)) - np.repeat(first, last - first + 1))
    values = np.add.reduceat((groups & 31) << shift, first)
    values -= np.where(groups[last] & 16, np.int64(1) << (shift[last] + 5), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    ends = np.cumsum(values)
    return ends[:-1:2], ends[1::2]


def paint_runs(starts: Ints, ends: Ints, height: int, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Return the mask that runs make in a box of the image.

    Parameters
    ----------
    starts, ends : (n,) arrays of ints
        First position of each run, and the one after its last.
    height : int
        Height of the image, in pixels.
    box : tuple of int
        Top, left, height and width of the box, in pixels.

    Examples
    --------
    >>> paint_runs(np.array([1, 4]), np.array([2, 8]), height=3, box=(1, 0, 2, 3)).astype(int).tolist()
    [[1, 1, 1], [0, 1, 0]]
    """
    top, left, rows, columns = box
    near = (ends > left * height) & (starts < (left + columns) * height)
    starts, ends = starts[near], ends[near]
    # A run may go on in the next columns: one row of these arrays for each column of a run.
    first, last = starts // height, (ends - 1) // height
    count = last - first + 1
    run = np.repeat(np.arange(len(count)), count)
    column = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    begin = np.clip(starts[run] - column * height - top, 0, rows)
    end = np.clip(ends[run] - column * height - top, 0, rows)
    inside = (end > begin) & (column >= left) & (column < left + columns)
    column, begin, end = column[inside] - left, begin[inside], end[inside]
    change = np.zeros((columns, rows + 1), np.int8)
    np.add.at(change, (column, begin), 1)
    np.add.at(change, (column, end), -1)
    mask: NDArray[np.bool_] = np.cumsum(change, axis=1, dtype=np.int8)[:, :-1].T.astype(bool)
    return mask
