"""The colours that stand for categories in palette and RGB masks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sisegcli.data.texts import read_text
from sisegcli.errors import CategoryError

Colour = tuple[int, int, int]


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


def read_colour_table(path: Path) -> dict[Colour, int]:
    """Read which mask value each colour stands for.

    Parameters
    ----------
    path : Path
        A CSV file with a line ``id,red,green,blue`` for each colour, 0 to 255; a first line of words is a heading.

    Raises
    ------
    CategoryError
        If the file cannot be read, or a line is something else or names a colour again.
    """
    way_out = "write lines id,red,green,blue with colours from 0 to 255"
    try:
        lines = [[cell.strip() for cell in row] for row in csv.reader(read_text(path).splitlines())]
    except (OSError, ValueError, csv.Error) as error:
        raise CategoryError(f"{path} cannot be read as a colour table; {way_out}.") from error
    table: dict[Colour, int] = {}
    for number, row in enumerate(lines, start=1):
        if not any(row) or (number == 1 and not any(cell.isdecimal() for cell in row)):
            continue
        if len(row) != 4 or not all(map(_is_number, row)) or max(map(int, row[1:])) > 255:
            raise CategoryError(f"{path}, line {number}: no colour; {way_out}.")
        value, red, green, blue = map(int, row)
        if (red, green, blue) in table:
            raise CategoryError(f"{path}, line {number}: this colour stands for {table[red, green, blue]} already.")
        table[red, green, blue] = value
    if not table:
        raise CategoryError(f"{path} names no colour; {way_out}.")
    return table


def _is_number(cell: str) -> bool:
    """Return whether a cell is a whole number of 32 bits."""
    return cell.isdecimal() and len(cell) <= 10 and int(cell) < 2**31
