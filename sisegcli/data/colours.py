"""The colours that stand for categories in palette and RGB masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def voc_colour_map() -> NDArray[np.uint8]:
    """Return the colours of PASCAL VOC, by category id.

    The bits of an id are dealt to red, green and blue in turn, the lowest ones to the highest bits of a channel
    (VOC development kit 2012, `VOClabelcolormap.m`). Id 255, void, is the devkit's cream.

    Returns
    -------
    (256, 3) array of uint8
        RGB.

    >>> voc_colour_map()[[0, 1, 2, 15, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [224, 224, 192]]
    """
    ids = np.arange(256)[:, None]
    channels = np.arange(3)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colours |= (((ids >> (3 * bit + channels)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def voc_palette() -> bytes:
    """Return the colours of PASCAL VOC as the 768 bytes that Pillow's ``putpalette`` wants."""
    return voc_colour_map().tobytes()
