"""Square windows: a look at part of an image, at a scale of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WINDOW = 160
"""Pixels along the side of a window as the membership network sees it."""
CELLS = WINDOW // 4
"""Cells along the side of its answer."""


class Window(NamedTuple):
    """Upper left corner and side, in image pixels; a window may reach beyond the image."""

    top: float
    left: float
    side: float

    def scaled(self, factor: float) -> Window:
        """Return the same window on an image that is `factor` times as large."""
        return Window(self.top * factor, self.left * factor, self.side * factor)

    def moved(self, y: float, x: float) -> Window:
        """Return the same window on an image whose corner lies at (y, x) of this one."""
        return Window(self.top - y, self.left - x, self.side)


def window_around(box: tuple[float, float, float, float], factor: float, *, smallest: float = 40.0) -> Window:
    """Return the window in the middle of a box (top, left, height, width), `factor` times as large as its longer side.

    Examples
    --------
    >>> window_around((10, 20, 30, 60), 2.0)
    Window(top=-35.0, left=-10.0, side=120.0)
    """
    top, left, height, width = box
    side = max(max(height, width) * factor, smallest)
    return Window(top + height / 2 - side / 2, left + width / 2 - side / 2, side)


def cut_window(
    pixels: NDArray[Any] | Image.Image, window: Window, *, fill: int, smooth: bool, size: int = WINDOW
) -> NDArray[Any]:
    """Cut a window out and resize it.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) array of uint8, or (H, W) array of int32
        The image, or values of its pixels; or a Pillow image of them, which is faster for many windows.
    window : Window
        What to cut.
    fill : int
        Value beyond the image.
    smooth : bool
        Interpolate; nearest pixels otherwise.
    size : int
        Pixels along the side of the result.

    Examples
    --------
    >>> pixels = np.array([[1, 2], [3, 4]], np.uint8)
    >>> cut_window(pixels, Window(1, 0, 2), fill=0, smooth=False, size=4).tolist()
    [[3, 3, 4, 4], [3, 3, 4, 4], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    channels = (3,) if picture.mode == "RGB" else ()
    out = np.full((size, size, *channels), fill, np.int32 if picture.mode == "I" else np.uint8)
    paste_window(out, picture, window, smooth=smooth)
    return out


def paste_window(out: NDArray[Any], picture: Image.Image, window: Window, *, smooth: bool) -> None:
    """Cut a window out, as `cut_window` does, into an array of its size that holds what lies beyond the image."""
    found = cut_part(picture, window, smooth=smooth, size=len(out))
    if found is not None:
        place, part = found
        out[place] = part


def cut_part(
    picture: Image.Image, window: Window, *, smooth: bool, size: int = WINDOW
) -> tuple[tuple[slice, slice], Image.Image] | None:
    """Return where in a window the image lies, and what is there; None if nothing is. See `cut_window`."""
    width, height = picture.size
    top, left = max(0.0, window.top), max(0.0, window.left)
    bottom, right = min(float(height), window.top + window.side), min(float(width), window.left + window.side)
    if bottom <= top or right <= left:
        return None
    scale = size / window.side
    y, x = round((top - window.top) * scale), round((left - window.left) * scale)
    inner = (min(size - y, round((bottom - top) * scale)), min(size - x, round((right - left) * scale)))
    if min(inner) < 1:
        return None
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    part = picture.resize((inner[1], inner[0]), method, box=(left, top, right, bottom))
    return (slice(y, y + inner[0]), slice(x, x + inner[1])), part
