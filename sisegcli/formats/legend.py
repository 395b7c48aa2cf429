"""A legend below a picture: categories, each with the colours of its instances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sisegcli.categories import Categories
from sisegcli.instances import Instance

PAPER, INK = (255, 255, 255), (28, 30, 34)

SHOWN = 12
"""Swatches of a category; a number says how many instances there are."""


def draw_legend(
    instances: Sequence[Instance], colours: NDArray[np.uint8], categories: Categories, width: int, size: int
) -> NDArray[np.uint8]:
    """Draw a legend.

    Parameters
    ----------
    instances : sequence of Instance
        What is in the picture.
    colours : (n, 3) array of uint8
        Their colours.
    categories : Categories
        Names.
    width : int
        Width of the strip, in pixels; entries that do not fit side by side go to the next row.
    size : int
        Size of the writing, in pixels.

    Returns
    -------
    (h, width, 3) array of uint8
        h is 0 where there are no instances, or the strip is too narrow for any writing.
    """
    font = ImageFont.load_default(size)
    swatch, gap, row = round(size * 0.85), round(size * 0.3), round(size * 1.75)
    groups: dict[int, list[tuple[int, int, int]]] = {}
    for instance, colour in zip(instances, colours.tolist(), strict=True):
        groups.setdefault(instance.category, []).append((colour[0], colour[1], colour[2]))
    if not groups or width < 6 * size:
        return np.zeros((0, width, 3), np.uint8)

    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    places: list[tuple[int, int, str, list[tuple[int, int, int]]]] = []
    x, y = size, 0
    for category, found in sorted(groups.items(), key=lambda group: -len(group[1])):
        text = categories.name(category) + (f" ({len(found)})" if len(found) > 1 else "")
        shown = list(dict.fromkeys(found))[:SHOWN]
        wide = len(shown) * (swatch + gap) + round(measure.textlength(text, font=font)) + 2 * size
        if x > size and x + wide - size > width:
            x, y = size, y + row
        places.append((x, y, text, shown))
        x += wide
    strip = Image.new("RGB", (width, y + row + size // 2), PAPER)
    draw = ImageDraw.Draw(strip)
    for x, y, text, shown in places:
        middle = y + row // 2 + size // 4
        for colour in shown:
            box = (x, middle - swatch // 2, x + swatch - 1, middle - swatch // 2 + swatch - 1)
            draw.rounded_rectangle(box, radius=swatch * 0.25, fill=colour)
            x += swatch + gap
        draw.text((x + gap, middle), text, fill=INK, font=font, anchor="lm")
    return np.asarray(strip)
