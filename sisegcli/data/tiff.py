"""TIFF, BigTIFF and OME-TIFF by tifffile, a band of rows at a time."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sisegcli.data.images import refuse_devices, wide_to_bytes
from sisegcli.errors import ImageError

INSTALL = "pip install 'sisegcli[large]'"

MAX_PIECE = 2**29
"""Largest strip or tile that is decoded, in pixels."""

_ORIENTATION = 274  # tag
_JPEG = (6, 7, 34892, 33007)  # compressions
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# Where nobody set up logging, tifffile's remarks on damaged files would be printed; its exceptions say enough.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class TiffSource:
    """The largest resolution of a TIFF's first image.

    Parameters
    ----------
    path : Path
        Grey, RGB or palette pixels in one page, or as a page for each of three channels.

    Raises
    ------
    ImageError
        If the file is missing, damaged, no TIFF, or has other dimensions than rows, columns and colours; if tifffile is
        not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import tifffile
        except ImportError as error:
            raise ImageError(f"{path} is a large TIFF, which is read by tifffile; {INSTALL}.") from error
        self._path = path
        with _clear(path):
            refuse_devices(path)
            self._file: Any = tifffile.TiffFile(path)
        try:
            with _clear(path):
                level = self._file.series[0].levels[0]
                pages: list[Any] = list(level.pages)
                self._pages, axes = pages, level.axes
                self._key: Any = self._pages[0].keyframe
                self._check(axes, level.shape)
        except ImageError:
            self._file.close()
            raise
        _, _, height, width, _ = self._key.shaped
        self.size: tuple[int, int] = (int(height), int(width))

    def _check(self, axes: str, shape: tuple[int, ...]) -> None:
        colours = [n for axis, n in zip(axes, shape, strict=True) if axis not in "YX"]
        planes = len(self._pages)
        if sorted(axes.strip("SC")) != ["X", "Y"] or len(colours) > 1 or self._key.shaped[1] != 1:
            raise ImageError(f"{self._path} has the dimensions {axes} {shape}; save one image, grey or RGB.")
        if planes not in (1, 3) or (colours and colours[0] not in (1, 2, 3, 4)):
            raise ImageError(f"{self._path} has {(*colours, planes)[0]} channels; save one image, grey or RGB.")
        piece = self._piece()
        if piece[0] * piece[1] > MAX_PIECE and not self._key.is_memmappable:
            raise ImageError(
                f"{self._path} is stored in pieces of {piece[0]} x {piece[1]} pixels, more than the {MAX_PIECE:,} "
                "allowed; save it in smaller tiles."
            )
        orientation = self._key.tags.valueof(_ORIENTATION, 1)
        if orientation != 1:
            raise ImageError(f"{self._path} is stored turned (orientation {orientation}); save it upright.")

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Return rows as they are stored: (n, W), or (n, W, C) where there are several samples."""
        with _clear(self._path):
            planes = np.concatenate([self._page(page, top, bottom) for page in self._pages])
        pixels = planes[0] if len(planes) == 1 else np.moveaxis(planes[..., 0], 0, -1)
        return pixels[..., 0] if pixels.shape[-1] == 1 else pixels

    def rgb(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn rows into (n, W, 3) of uint8; alpha is dropped."""
        if pixels.dtype.kind not in "bu" or pixels.dtype.itemsize > 2:
            raise ImageError(f"{self._path} has pixels of {pixels.dtype}; save it with 8 or 16 bits.")
        if self._key.photometric == 3 and self._key.colormap is not None:
            colours = wide_to_bytes(np.moveaxis(self._key.colormap, 0, -1))
            return np.asarray(colours[pixels], np.uint8)
        if pixels.dtype.itemsize == 2:
            pixels = wide_to_bytes(pixels)
        elif pixels.dtype.kind == "b":
            pixels = pixels * np.uint8(255)
        if self._key.photometric == 0:  # white is zero
            pixels = 255 - pixels
        if pixels.ndim == 2 or pixels.shape[2] < 3:
            grey = pixels if pixels.ndim == 2 else pixels[..., 0]
            return np.stack([grey] * 3, axis=-1)
        return np.ascontiguousarray(pixels[..., :3])

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _piece(self) -> tuple[int, int]:
        """Return the height and width of the strips or tiles."""
        key = self._key
        _, _, height, width, _ = key.shaped
        return (key.tilelength, key.tilewidth) if key.is_tiled else (min(key.rowsperstrip, height), width)

    def _page(self, page: Any, top: int, bottom: int) -> NDArray[Any]:
        """Return rows of a page as (separate samples, rows, W, samples in a pixel)."""
        key = self._key
        separate, _, height, width, contiguous = key.shaped
        if key.is_memmappable:
            # Mapped anew each time, so that what was read before does not count as memory.
            kind = np.dtype(key.parent.byteorder + key.dtype.char)
            shape = (separate, height, width, contiguous)
            pixels = np.memmap(self._path, kind, "r", page.dataoffsets[0], shape)[:, top:bottom]
            return pixels.astype(key.dtype)
        out = np.zeros((separate, bottom - top, width, contiguous), key.dtype)
        long, wide = self._piece()
        across, down = -(-width // wide), -(-height // long)
        for plane in range(separate):
            for y in range(top // long, -(-bottom // long)):
                for x in range(across):
                    self._segment(page, (plane * down + y) * across + x, top, out)
        return out

    def _segment(self, page: Any, index: int, top: int, out: NDArray[Any]) -> None:
        """Decode a strip or a tile into the rows from `top` on."""
        key = self._key
        length = page.databytecounts[index]
        if not length:  # nothing stored: blank
            return
        file = key.parent.filehandle
        file.seek(page.dataoffsets[index])
        stored = file.read(length)  # before `decode`, which may read from the file as it is made
        tables = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader} if key.compression in _JPEG else {}
        pixels, (plane, _, y, x, _), shape = key.decode(stored, index, **tables)
        if pixels is None:
            return
        first, last = max(y, top), min(y + shape[1], top + out.shape[1])
        wide = min(shape[2], out.shape[2] - x)  # tiles may reach beyond the image
        out[plane, first - top : last - top, x : x + wide] = pixels[0, first - y : last - y, :wide]


@contextmanager
def _clear(path: Path) -> Iterator[None]:
    """Turn tifffile's errors into an `ImageError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist; check the name.") from error
    except _DAMAGE as error:
        if "imagecodecs" in str(error):
            raise ImageError(f"{path} is compressed in a way that needs imagecodecs; {INSTALL}.") from error
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
        raise ImageError(f"{path} cannot be read ({reason}); replace it with an intact copy, or remove it.") from error
