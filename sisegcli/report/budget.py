"""How large the pictures and maps in a page are: the more images, the smaller, so that a browser can hold the page."""

from __future__ import annotations

import math
from dataclasses import dataclass

PICTURES = 28_000_000
"""Bytes that all pictures may take, before base64 makes a third more of them."""
JPEG = 0.24
"""Bytes that a pixel of a small JPEG takes, by experience."""
MAPS = 16_000_000
"""Bytes that all maps of one layer may take."""
EDGE = 5.0
"""Bytes that a compressed map takes for each pixel of its long side, by experience."""
SIDES = (128, 1024)
"""Least and largest long side of a picture, in pixels."""
GRIDS = (192, 768)
"""Least and largest long side of a map, in pixels."""
MOST = 20_000
"""Images from which `auto` embeds no pictures: the least of them would be too large together."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Long sides in pixels: of pictures (0: none are embedded), and of label maps."""

    picture: int
    grid: int


def choose_sizes(count: int, embed: str) -> Sizes:
    """Choose how large the pictures and maps of `count` images are.

    >>> choose_sizes(12, "auto"), choose_sizes(10_000, "auto")
    (Sizes(picture=1024, grid=768), Sizes(picture=128, grid=320))
    >>> choose_sizes(10_000, "all"), choose_sizes(12, "none")
    (Sizes(picture=1024, grid=320), Sizes(picture=0, grid=768))
    """
    grid = _within(MAPS / count / EDGE, GRIDS)
    if embed == "none" or (embed == "auto" and count > MOST):
        return Sizes(0, grid)
    if embed == "all":
        return Sizes(SIDES[1], grid)
    pixels = PICTURES / count / JPEG
    return Sizes(_within(math.sqrt(pixels / 0.75), SIDES), grid)  # three to four, as most cameras have it


def _within(side: float, ends: tuple[int, int]) -> int:
    return max(ends[0], min(ends[1], int(side)))
