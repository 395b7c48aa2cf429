"""Pictures and label maps, small, and as text that fits into a page."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import IGNORE
from sisegcli.data.images import opened, to_rgb, upright
from sisegcli.formats.palette import PALETTE, choose_colours
from sisegcli.instances import Instance, Labels

QUALITY = 78
"""JPEG's quality of pictures."""


def grid_of(size: tuple[int, int], side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of an image that a map has: the middles of cells, no more than `side` of them.

    >>> [places.tolist() for places in grid_of((4, 8), 4)]
    [[1, 3], [1, 3, 5, 7]]
    """
    factor = min(1.0, side / max(size))
    shape = [max(1, round(length * factor)) for length in size]
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(np.intp) for n, m in zip(shape, size, strict=True))
    return rows, columns


def label_map(instances: Sequence[Instance], size: tuple[int, int], side: int) -> Labels:
    """Paint instances into a small map: instance i gets i + 1. No more than one of them is ever decoded at full size.

    Returns an (h, w) array of int32.

    Examples
    --------
    >>> label_map([Instance.from_mask(np.array([[0, 0, 1, 1], [0, 0, 1, 1]], bool), 5)], (2, 4), side=2).tolist()
    [[0, 1]]
    """
    rows, columns = grid_of(size, side)
    labels = np.zeros((len(rows), len(columns)), np.int32)
    for number, instance in enumerate(instances, start=1):
        top, left, height, width = instance.box
        first, last = np.searchsorted(rows, (top, top + height))
        start, end = np.searchsorted(columns, (left, left + width))
        seen = instance.crop()[np.ix_(rows[first:last] - top, columns[start:end] - left)]
        labels[first:last, start:end][seen] = number
    return labels


def colour_numbers(labels: Labels, count: int) -> list[int]:
    """Choose a colour for each label, as overlays do; returns places in the overlays' palette."""
    chosen = choose_colours(labels, count, reach=4)
    return [int(np.flatnonzero((colour == PALETTE).all(axis=1))[0]) for colour in chosen]


def mask_map(mask: NDArray[np.int32], side: int) -> tuple[Labels, list[int]]:
    """Return a semantic mask as a small map, and the categories in it.

    Parameters
    ----------
    mask : (H, W) array of int32
        Category ids, `BACKGROUND` and `IGNORE`.
    side : int
        Long side of the map, in cells.

    Returns
    -------
    labels : (h, w) array of int32
        0 is background, 1 ignored; 2 and on are categories.
    categories : list of int
        Ids of the categories from 2 on.

    Examples
    --------
    >>> labels, categories = mask_map(np.array([[-1, -2, 15]], np.int32), 3)
    >>> labels.tolist(), categories
    ([[0, 1, 2]], [15])
    """
    small = mask[np.ix_(*grid_of((mask.shape[0], mask.shape[1]), side))]
    values, inverse = np.unique(small, return_inverse=True)
    categories = [value for value in values.tolist() if value >= 0]
    numbers = [categories.index(value) + 2 if value >= 0 else int(value == IGNORE) for value in values.tolist()]
    return np.array(numbers, np.int32)[inverse.reshape(small.shape)], categories


def pack(labels: Labels) -> dict[str, Any]:
    """Pack a map for the page: rows as differences to the row above, in one, two or four bytes, compressed.

    >>> packed = pack(np.array([[1, 2], [1, 3]], np.int32))
    >>> packed["h"], packed["w"], packed["b"], list(zlib.decompress(base64.b64decode(packed["z"])))
    (2, 2, 1, [1, 2, 0, 1])
    """
    highest = int(labels.max(initial=0))
    size = 1 if highest < 256 else 2 if highest < 65536 else 4
    above = np.concatenate((np.zeros((1, labels.shape[1]), np.int32), labels[:-1]))
    rows = (labels - above).astype(f"<u{size}")  # wraps round, and back again
    code = base64.b64encode(zlib.compress(rows.tobytes(), 9)).decode()
    return {"h": labels.shape[0], "w": labels.shape[1], "b": size, "z": code}


def small_picture(path: Path, side: int) -> NDArray[np.uint8]:
    """Read an image at no more than `side` pixels along its long side.

    Raises
    ------
    ImageError
        As by `sisegcli.data.images.read_image`.
    """
    with opened(path) as (image, orientation):
        image.draft("RGB", (side, side))  # JPEGs are decoded at a fraction of their size
        pixels = upright(to_rgb(image, path), orientation)
    return shrink(pixels, side)


def shrink(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Shrink a picture (H, W, 3) to no more than `side` pixels along its long side.

    Examples
    --------
    >>> shrink(np.zeros((40, 20, 3), np.uint8), 10).shape
    (10, 5, 3)
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def jpeg(pixels: NDArray[np.uint8]) -> str:
    """Return a picture (H, W, 3) or (H, W) as JPEG in base64."""
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(memory.getvalue()).decode()
