"""Images on disk: any file that Pillow reads becomes upright 8-bit RGB, anything else one clear sentence."""

from __future__ import annotations

import logging
import stat
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sisegcli.errors import ImageError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""What image files are called, in order of preference, in lower case."""

MAX_PIXELS = 2**28 // 3
"""Largest image read by default, in pixels: a quarter of a gigabyte of RGB, Pillow's own limit."""

_ORIENTATION = 0x0112  # EXIF tag
_WIDTH, _HEIGHT = 0x0100, 0x0101  # TIFF tags

# What Pillow's decoders raise on damaged files.
_DAMAGE = (OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)

# Where nobody set up logging, Pillow's remarks on damaged files would be printed; its exceptions say enough.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Pillow's pixel limit and the warning filters belong to the process: one thread at a time changes them.
_OPENING = threading.Lock()

Scalar = TypeVar("Scalar", bound=np.generic)


def read_image(path: Path | str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image as upright RGB.

    Parameters
    ----------
    path : Path or str
        An image of any kind that Pillow reads: grey, palette, CMYK, with or without alpha, 8 or 16 bits.
    max_pixels : int
        Height times width above which the file is refused rather than decoded.

    Returns
    -------
    (H, W, 3) array of uint8
        Turned as its EXIF orientation asks; 16-bit values are divided by 257, alpha is dropped.

    Raises
    ------
    ImageError
        If the file is missing, damaged, too large, no image, or has floating-point pixels.
    """
    with opened(path, max_pixels) as (image, orientation):
        pixels = to_rgb(image, Path(path))
    return upright(pixels, orientation)


def image_size(path: Path | str) -> tuple[int, int]:
    """Return the height and width of an image in pixels, upright, from its header alone.

    Raises
    ------
    ImageError
        If the file is missing or no image.
    """
    with opened(path, max_pixels=None) as (image, orientation):
        width, height = image.size
        if image.format == "TIFF":  # whether Pillow has turned the size of a TIFF already depends on its version
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            width, height, orientation = int(tags[_WIDTH]), int(tags[_HEIGHT]), tags.get(_ORIENTATION, 1)
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


@contextmanager
def opened(path: Path | str, max_pixels: int | None = MAX_PIXELS) -> Iterator[tuple[Image.Image, int]]:
    """Open an image without decoding it; yields it with the EXIF orientation that remains to be undone.

    Pillow's errors, here and inside the ``with`` block, become an `ImageError`; its warnings are dropped.
    """
    path = Path(path)
    try:
        refuse_devices(path)
        with path.open("rb") as file, _quiet_open(file) as image:
            width, height = image.size
            if max_pixels is not None and width * height > max_pixels:
                way_out = "cut it into tiles" if max_pixels >= MAX_PIXELS else "raise --max-pixels"
                raise ImageError(
                    f"{path} has {height} x {width} pixels, more than the {max_pixels:,} allowed; {way_out}."
                )
            # Pillow turns a TIFF by itself as it decodes it. `PngImageFile.getexif` would decode the image.
            orientation = 1 if image.format == "TIFF" else _exif_orientation(image)
            image.info.pop("transparency", None)  # would only make Pillow warn as it converts palettes
            yield image, orientation
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist; check the name.") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image that can be read; save it as PNG or JPEG, or remove it.") from error
    except _DAMAGE as error:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
        raise ImageError(f"{path} cannot be read ({reason}); replace it with an intact copy, or remove it.") from error


def refuse_devices(path: Path) -> None:
    """Raise `ImageError` for a pipe, a socket or a device: reading one may wait for ever, or never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ImageError(f"{path} is a pipe or a device; put a file in its place, or remove it.")


def upright(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Turn an (H, W, …) array as an EXIF orientation asks; 1 and unknown values leave it as it is.

    >>> upright(np.array([[1, 2, 3], [4, 5, 6]]), orientation=6).tolist()
    [[4, 1], [5, 2], [6, 3]]
    """
    return np.ascontiguousarray(turned(pixels, orientation))


def turned(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Return a view of an (H, W, …) array, turned as `upright` does."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _quiet_open(file: BinaryIO) -> Image.Image:
    """Open with Pillow's pixel limit off (ours is an error, its is a warning) and without its warnings."""
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(file)
            Image.Image.getexif(image)  # damaged EXIF warns here, then it is kept
            return image
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _exif_orientation(image: Image.Image) -> int:
    orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    return orientation if isinstance(orientation, int) else 1


def to_rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    """Return the pixels of an opened image, or of a part of it, as (H, W, 3) of uint8; see `read_image`."""
    if image.mode == "F":
        raise ImageError(f"{path} has floating-point pixels; save it with 8 or 16 bits.")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return np.stack([wide_to_bytes(np.asarray(image))] * 3, axis=-1)
    return np.array(image.convert("RGB"))  # a copy: Pillow's own view of its pixels cannot be written


def wide_to_bytes(values: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Divide values of 16 bits by 257.

    >>> wide_to_bytes(np.array([0, 257, 65535])).tolist()
    [0, 1, 255]
    """
    wide = np.clip(values.astype(np.int64), 0, 65535)
    return ((wide + 128) // 257).astype(np.uint8)
