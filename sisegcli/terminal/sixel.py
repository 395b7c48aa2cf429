"""Sixel graphics of DEC's terminals: bands of six rows, one colour after the other."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLOURS = 255
"""Colours of a picture, at most."""

_RUN = re.compile(r"(.)\1{3,}")


def sixel_image(picture: NDArray[np.uint8], width: int) -> str:
    r"""Return sixels that show a picture (H, W, 3), no wider than so many pixels.

    >>> sixel_image(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), 8)
    '\x1bP0;1;0q"1;1;2;1#0;2;100;0;0#1;2;0;0;100#0@?$#1?@-\x1b\\\n'
    """
    image = Image.fromarray(picture)
    if image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.BICUBIC)
    indexed = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    numbers = np.asarray(indexed)
    used = np.unique(numbers).tolist()
    palette = np.array(indexed.getpalette(), np.int64).reshape(-1, 3)
    # The colours that are used, from the first, so that numbers do not depend on how the palette is filled.
    order = sorted(used, key=lambda n: tuple(-palette[n]))
    parts = [f'\x1bP0;1;0q"1;1;{image.width};{image.height}']
    for place, number in enumerate(order):
        red, green, blue = (round(100 * value / 255) for value in palette[number].tolist())
        parts.append(f"#{place};2;{red};{green};{blue}")
    bits = 1 << np.arange(6)
    for top in range(0, image.height, 6):
        band = numbers[top : top + 6]
        rows = []
        for place, number in enumerate(order):
            mine = band == number
            if mine.any():
                signs = (bits[: len(band), None] * mine).sum(axis=0) + 63
                rows.append(f"#{place}{_shorten(bytes(signs.astype(np.uint8)).decode('ascii'))}")
        parts.append("$".join(rows) + "-")
    return "".join(parts) + "\x1b\\\n"


def _shorten(signs: str) -> str:
    """Write runs as ``!count`` and the sign.

    >>> _shorten("@@@@@??")
    '!5@??'
    """
    return _RUN.sub(lambda run: f"!{len(run[0])}{run[1]}", signs)
