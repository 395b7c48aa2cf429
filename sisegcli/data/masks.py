"""Semantic masks on disk: palette, grey or coloured pictures become category ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.categories import BACKGROUND, IGNORE
from sisegcli.data.colours import voc_colour_map
from sisegcli.data.images import MAX_PIXELS, opened, upright
from sisegcli.errors import ImageError

Mask = NDArray[np.int32]

# Pillow stretches grey PNGs of 2 and 4 bits to 0..255, which is right for pictures and wrong for ids.
_STRETCHED = {"L;2": 85, "L;4": 17}

_COLOURED = ("RGB", "RGBA", "RGBX")

_WAYS_OUT = "save it as a PNG that holds category ids (mode P, L or I;16)"


class MaskReader:
    """Reads semantic masks, all with one meaning of their values.

    Parameters
    ----------
    background : int or None
        The value in files that belongs to no category; None where there is no such value.
    ignore : int or None
        The value in files that is not to be judged (void); None where there is no such value. Where it equals
        `background`, those pixels are ignored.
    colours : mapping of (red, green, blue) to int, optional
        The value that each colour of RGB masks stands for; by default the colour map of PASCAL VOC.
    max_pixels : int
        Height times width above which a file is refused.
    encoded : bool
        Colours are ADE20K's code of a category, R // 10 * 256 + G, and no table is looked at.
    """

    def __init__(
        self,
        background: int | None = 0,
        ignore: int | None = 255,
        colours: Mapping[tuple[int, int, int], int] | None = None,
        max_pixels: int = MAX_PIXELS,
        *,
        encoded: bool = False,
    ) -> None:
        self.background = background
        self.ignore = ignore
        self.max_pixels = max_pixels
        self.encoded = encoded
        if colours is None:
            colours = {(int(r), int(g), int(b)): value for value, (r, g, b) in enumerate(voc_colour_map())}
        by_code = {red << 16 | green << 8 | blue: value for (red, green, blue), value in colours.items()}
        by_code[1 << 24] = 0  # greater than any colour, so that a search ends at or before it
        self._codes = np.array(sorted(by_code), np.int32)
        self._values = np.array([by_code[code] for code in sorted(by_code)], np.int32)

    def read(self, path: Path | str) -> Mask:
        """Read a mask.

        Palette images give their indices, 1-bit, grey and 16-bit images their values, and RGB images the ids of their
        colours; alpha is not looked at. An EXIF orientation is undone, as for images.

        Returns
        -------
        (H, W) array of int32
            Category ids, `BACKGROUND` and `IGNORE`.

        Raises
        ------
        ImageError
            If the file is missing, damaged, too large, no image, lossy (JPEG), has floating-point pixels, or a colour
            that is not in the table.
        """
        path = Path(path)
        with opened(path, self.max_pixels) as (image, orientation):
            raw = self.values_of(image, path)(image)
        return upright(self.ids(raw, path), orientation)

    def values_of(self, image: Image.Image, path: Path) -> Callable[[Image.Image], NDArray[Any]]:
        """Return what takes values, or colours, out of an opened mask that is not decoded yet, or of parts of it.

        Raises
        ------
        ImageError
            If the file is lossy, or has a mode in which ids cannot be told.
        """
        if image.format in ("JPEG", "MPO", "JPEG2000"):
            raise ImageError(f"{path} is a JPEG, whose compression changes the values of a mask; {_WAYS_OUT} instead.")
        tiles = getattr(image, "tile", [])
        stretch = _STRETCHED.get(str(tiles[0][3]), 1) if image.format == "PNG" and tiles else 1

        def take(part: Image.Image) -> NDArray[Any]:
            raw = np.asarray(part)
            if part.mode == "LA":
                raw = raw[..., 0]
            if part.mode not in _COLOURED and not (raw.ndim == 2 and raw.dtype.kind in "bui"):
                raise ImageError(f"{path} has Pillow's mode {part.mode}, in which ids cannot be told; {_WAYS_OUT}.")
            return raw // stretch if stretch > 1 else raw

        return take

    def ids(self, raw: NDArray[Any], path: Path) -> Mask:
        """Turn values (H, W), or colours (H, W, C), of a file into category ids.

        Raises
        ------
        ImageError
            If a value cannot be an id, or a colour is not in the table.
        """
        values = raw
        if raw.ndim == 3:
            values = decode_ade20k(raw) if self.encoded else self._look_up(raw, path)
        try:
            return normalise(values, self.background, self.ignore)
        except ImageError as error:
            raise ImageError(f"{path}: {error}") from error

    def _look_up(self, colours: NDArray[Any], path: Path) -> Mask:
        """Turn (H, W, 3) colours into (H, W) values; masks are flat, so each run of a colour is looked up once."""
        height, width = colours.shape[:2]
        red, green, blue = (colours[..., channel].astype(np.int32) for channel in range(3))
        codes = (red << 16 | green << 8 | blue).ravel()
        starts = np.concatenate(([0], np.flatnonzero(codes[1:] != codes[:-1]) + 1))
        lengths = np.diff(starts, append=codes.size)
        places = np.searchsorted(self._codes, codes[starts])
        unknown = self._codes[places] != codes[starts]
        if unknown.any():
            code = int(codes[starts[unknown.argmax()]])
            raise ImageError(
                f"{path} has the colour {(code >> 16, code >> 8 & 255, code & 255)}, which is not in the colour table"
                f" ({int(lengths[unknown].sum())} pixels have such colours); {_WAYS_OUT}, or give its own colour table."
            )
        return np.repeat(self._values[places], lengths).reshape(height, width)


def decode_ade20k(colours: NDArray[np.uint8]) -> Mask:
    """Return the (H, W) categories that the (H, W, C) colours of the full ADE20K stand for.

    >>> decode_ade20k(np.array([[[0, 0, 0], [10, 56, 21], [90, 76, 255]]], np.uint8)).tolist()
    [[0, 312, 2380]]
    """
    return colours[..., 0].astype(np.int32) // 10 * 256 + colours[..., 1]


def normalise(mask: NDArray[Any], background: int | None = 0, ignore: int | None = 255) -> Mask:
    """Turn the values of a mask array into category ids, `BACKGROUND` and `IGNORE`.

    Parameters
    ----------
    mask : (H, W) array of ints or bools
        Values as in a file.
    background, ignore : int or None
        The values without category and without meaning, or None where there is no such value; ignore wins.

    Returns
    -------
    (H, W) array of int32
        A new array.

    Raises
    ------
    ImageError
        If the array is not two-dimensional, not of integers, or has values that cannot be ids.

    Examples
    --------
    >>> normalise(np.array([[0, 15, 255]], np.uint8)).tolist()
    [[-1, 15, -2]]
    >>> normalise(np.array([[0, 15, 255]], np.uint8), background=None, ignore=None).tolist()
    [[0, 15, 255]]
    """
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise ImageError(
            f"A semantic mask has two dimensions and holds integers, not {mask.ndim} of {mask.dtype};"
            " give one category id for each pixel."
        )
    ids = mask.astype(np.int32)
    nothing = np.zeros(mask.shape, bool)
    empty = nothing if background is None else mask == background
    void = nothing if ignore is None else mask == ignore
    if mask.dtype.kind == "i" or mask.dtype.itemsize >= 4:
        wrong = ((mask < 0) | (mask > np.iinfo(np.int32).max)) & ~empty & ~void
        if wrong.any():
            value = int(mask[wrong][0])
            raise ImageError(
                f"A semantic mask holds the value {value}, which is no category id;"
                " ids count from 0, other values are named with --background or --ignore."
            )
    ids[empty] = BACKGROUND
    ids[void] = IGNORE
    return ids
