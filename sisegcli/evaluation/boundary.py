"""Boundary IoU: overlap near the outlines, which large masks hide.

Cheng, Girshick, Dollár, Berg and Kirillov, *Boundary IoU: Improving Object-Centric Image Segmentation Evaluation*, CVPR
2021. The boundary of a mask are its pixels within a distance d of its contour, and Boundary IoU is the intersection
over union of two boundaries. As in the authors' evaluation code:

- d is 2 % of the image's diagonal, rounded, and one pixel at least;
- distances are those of a square (as by eroding d times with 3 x 3 pixels), and the border of the image is a contour;
- boundary AP takes the smaller of mask IoU and Boundary IoU, as two masks may have the same boundary and differ inside;
- crowds are compared by their masks alone.

Masks are without void here, so that outlines along void agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage

from sisegcli.instances import Instance
from sisegcli.runs import encode_runs

Floats = NDArray[np.float64]

DISTANCE = 0.02
"""d as a part of the image's diagonal."""

LEAST = 0.5
"""Smallest overlap that AP looks at; pairs below it are left as they are."""


def boundary_distance(size: tuple[int, int]) -> int:
    """Return d for an image of this height and width, in pixels.

    >>> boundary_distance((300, 400)), boundary_distance((3, 4))
    (10, 1)
    """
    return max(1, round(DISTANCE * math.hypot(*size)))


def boundary_of(instance: Instance) -> Instance:
    """Return the pixels of an instance that lie within d of its contour.

    >>> inner = boundary_of(Instance.from_mask(np.ones((5, 6), bool), category=1))
    >>> inner.mask().astype(int).tolist()
    [[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1]]
    """
    top, left, height, width = instance.box
    side = 2 * boundary_distance(instance.size) + 1
    if min(height, width) < side:
        return instance
    crop = instance.crop()
    inside = crop.astype(np.uint8)
    for axis in (0, 1):
        inside = ndimage.minimum_filter1d(inside, side, axis, mode="constant")
    columns, rows = np.nonzero((crop & (inside == 0)).T)
    places = (columns + left) * instance.size[0] + rows + top
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    starts, ends = places[np.concatenate(([0], breaks))], places[np.append(breaks, len(places)) - 1] + 1
    code = encode_runs(starts, ends, instance.size)
    return Instance.from_rle(code, instance.size, instance.category, instance.score)


def boundary_ious(ious: Floats, predicted: Sequence[Instance], objects: Sequence[Instance]) -> Floats:
    """Return the smaller of mask IoU and Boundary IoU of each prediction and object.

    Parameters
    ----------
    ious : (D, G + C) array
        Mask IoUs; columns of crowds, and pairs below `LEAST`, stay as they are.
    predicted, objects : sequences of Instance
        The D predictions and the G objects.
    """
    found: Floats = ious.copy()
    edges: dict[int, Instance] = {}
    for row, column in np.argwhere(ious[:, : len(objects)] >= LEAST).tolist():
        for instance in (predicted[row], objects[column]):
            if id(instance) not in edges:
                edges[id(instance)] = boundary_of(instance)
        one, other = edges[id(predicted[row])], edges[id(objects[column])]
        found[row, column] = min(found[row, column], coco_mask.iou([one.rle], [other.rle], [0])[0, 0])
    return found
