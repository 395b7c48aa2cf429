"""Run-length codes from whatever COCO calls a segmentation, checked before pycocotools sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

MAX_PIXELS = 2**32 - 1
"""Largest mask, in pixels: pycocotools counts with 32 bits."""
MAX_OUTLINE = 2**22
"""Longest outline of an annotation's polygons, in pixels; pycocotools takes 80 bytes for each."""


def image_size(height: Any, width: Any) -> tuple[int, int]:
    """Return a size as whole numbers; an image has at least one pixel.

    Examples
    --------
    >>> image_size(2.0, 3)
    (2, 3)
    >>> image_size(0, 3)
    Traceback (most recent call last):
    ...
    ValueError: an image of height 0 and width 3
    """
    size = (int(height), int(width))
    if min(size) <= 0 or size != (height, width):
        raise ValueError(f"an image of height {height} and width {width}")
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"an image of {size[0]} x {size[1]} pixels, more than the {MAX_PIXELS:,} allowed")
    return size


def run_lengths(segmentation: Any, size: tuple[int, int] | None) -> dict[str, Any] | None:
    """Return the compressed run-length code of any COCO segmentation.

    Parameters
    ----------
    segmentation : list or dict
        Polygons, or a run-length code, compressed or not.
    size : tuple of int, optional
        Height and width of the image, which polygons need.

    Returns
    -------
    dict or None
        As pycocotools wants it, with ``counts`` as bytes; None for an empty list of polygons.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it makes no sense. pycocotools trusts its input to the point of reading past its end, so all is checked.
    """
    if isinstance(segmentation, list):
        if not segmentation:
            return None
        if size is None:
            raise ValueError("polygons in a results file come without the size of their image")
        height, width = size
        outline = 0.0
        for polygon in segmentation:
            corners = np.asarray(polygon, float)
            if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
                raise ValueError("a polygon needs at least three corners: x1, y1, x2, y2, …")
            if not (np.abs(corners) <= 2 * max(size)).all():
                raise ValueError("a polygon lies far outside its image")
            steps = np.abs(np.diff(corners.reshape(-1, 2), axis=0, append=corners[None, :2])).max(1)
            outline += float(steps.sum())
        if outline > MAX_OUTLINE:
            raise ValueError(f"its polygons are {outline:,.0f} pixels long, more than the {MAX_OUTLINE:,} allowed")
        merged: dict[str, Any] = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
        return merged
    height, width = image_size(*segmentation["size"])
    counts = segmentation["counts"]
    runs = counts if isinstance(counts, list) else _decoded(counts.encode("ascii"))
    if not all(isinstance(run, int) for run in runs):
        raise ValueError("its run-length code has other things than whole numbers")
    if sum(runs) != height * width or min(runs) < 0:
        raise ValueError("its run-length code does not fill its image")
    if isinstance(counts, list):
        compressed: dict[str, Any] = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
        return compressed
    return {"size": [height, width], "counts": counts.encode("ascii")}


def _decoded(code: bytes) -> list[int]:
    """Return the runs of COCO's compressed code; pycocotools itself reads past the end of a damaged one.

    Runs are differences to the run before the last, in groups of five bits, least first, the sixth bit meaning "more".

    >>> _decoded(coco_mask.encode(np.asfortranarray(np.eye(3), np.uint8))["counts"])
    [0, 1, 3, 1, 3, 1]
    """
    runs: list[int] = []
    value = shift = 0
    for byte in code:
        group = byte - 48
        if not 0 <= group < 64:
            raise ValueError("its run-length code is damaged")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                value -= 1 << shift
            if len(runs) > 2:
                value += runs[-2]
            runs.append(value)
            value = shift = 0
    if shift:
        raise ValueError("its run-length code is damaged")
    return runs
