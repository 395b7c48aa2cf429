"""A legend below or beside a picture: categories, each with the colours of its instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sisegcli.categories import Categories
from sisegcli.formats.fonts import Font, shortened, writable
from sisegcli.instances import Instance

PAPER, INK = (255, 255, 255), (28, 30, 34)

SHOWN = 6
"""Swatches of a category; a number says how many instances there are."""

LONGEST = 40
"""Characters of a name in the legend."""

Colours = NDArray[np.uint8]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend: its words, their font, swatches, and the width that it takes, in pixels."""

    text: str
    font: Font
    swatches: list[Colour]
    width: int


def add_legend(
    picture: Colours, instances: Sequence[Instance], colours: Colours, categories: Categories, size: int
) -> Colours:
    """Add a legend to a picture: below it, or beside it where it is high or narrow.

    Parameters
    ----------
    picture : (H, W, 3) array of uint8
        The picture; it stays as it is.
    instances : sequence of Instance
        What is in the picture.
    colours : (n, 3) array of uint8
        Their colours.
    categories : Categories
        Names.
    size : int
        Size of the writing, in pixels.

    Returns
    -------
    (H', W', 3) array of uint8
        Its top left part is the picture; it is no larger where there are no instances.
    """
    entries = _entries(instances, colours, categories, size)
    if not entries:
        return picture
    height, width = picture.shape[:2]
    if height <= width and max(entry.width for entry in entries) + 2 * size <= width:
        strip = _draw(_rows(entries, width, size), width, size)
        return np.concatenate((picture, strip), axis=0)
    # In columns of the picture's height, all as wide as the widest entry.
    column = max(entry.width for entry in entries) + size
    lines = max(1, (height - size) // _row(size))
    turns = [entries[line::lines] for line in range(min(lines, len(entries)))]
    strip = _draw(_columns(turns, column, size), max(map(len, turns)) * column + size, size)
    high = max(height, strip.shape[0])
    return np.concatenate([_padded(part, high) for part in (picture, strip)], axis=1)


def _entries(instances: Sequence[Instance], colours: Colours, categories: Categories, size: int) -> list[Entry]:
    """Return an entry for each category, that with most instances first."""
    groups: dict[int, list[Colour]] = {}
    for instance, colour in zip(instances, colours.tolist(), strict=True):
        groups.setdefault(instance.category, []).append((colour[0], colour[1], colour[2]))
    entries = []
    for category, found in sorted(groups.items(), key=lambda group: -len(group[1])):
        many = f" ({len(found)})"
        name = shortened(categories.name(category), LONGEST)
        text, font = writable(name + many, Categories().name(category) + many, size)
        swatches = list(dict.fromkeys(found))[:SHOWN]
        wide = len(swatches) * sum(_swatch(size)) + round(font.getlength(text)) + round(size * 0.3)
        entries.append(Entry(text, font, swatches, wide))
    return entries


def _swatch(size: int) -> tuple[int, int]:
    """Return the side of a swatch, and the gap behind it."""
    return round(size * 0.85), round(size * 0.3)


def _row(size: int) -> int:
    return round(size * 1.75)


Row = list[tuple[int, Entry]]
"""Entries, and where they begin."""


def _rows(entries: Sequence[Entry], width: int, size: int) -> list[Row]:
    """Put entries side by side; those that do not fit go to the next row."""
    rows: list[Row] = [[]]
    x = size
    for entry in entries:
        if rows[-1] and x + entry.width + size > width:
            rows.append([])
            x = size
        rows[-1].append((x, entry))
        x += entry.width + 2 * size
    return rows


def _columns(lines: Sequence[Sequence[Entry]], column: int, size: int) -> list[Row]:
    return [[(size + number * column, entry) for number, entry in enumerate(line)] for line in lines]


def _draw(rows: Sequence[Row], width: int, size: int) -> Colours:
    (side, gap), row = _swatch(size), _row(size)
    strip = Image.new("RGB", (width, len(rows) * row + size // 2), PAPER)
    draw = ImageDraw.Draw(strip)
    for number, places in enumerate(rows):
        middle = number * row + row // 2 + size // 4
        for x, entry in places:
            for colour in entry.swatches:
                box = (x, middle - side // 2, x + side - 1, middle - side // 2 + side - 1)
                draw.rounded_rectangle(box, radius=side * 0.25, fill=colour)
                x += side + gap
            draw.text((x + gap, middle), entry.text, fill=INK, font=entry.font, anchor="lm")
    return np.asarray(strip)


def _padded(picture: Colours, height: int) -> Colours:
    return np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0)), constant_values=PAPER[0])
