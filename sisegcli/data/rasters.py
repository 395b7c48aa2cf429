"""Images and masks too large for memory: read a band of rows at a time.

TIFF, BigTIFF and OME-TIFF are read by tifffile, where they lie: uncompressed ones are mapped into memory, of others
those strips and tiles are decoded that a band touches. Pillow has to decode any other file as a whole, once, into a
nameless temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sisegcli.data.images import image_size, opened, to_rgb, turned
from sisegcli.data.masks import MaskReader
from sisegcli.errors import ImageError

MAX_DECODED = 2**29
"""Largest file that Pillow may decode as a whole, in pixels: 2 GB of RGB."""
BAND = 256
"""Rows that are taken from a decoded picture at once."""
TIFF = (".tif", ".tiff")


class Source(Protocol):
    """Pixels of a file."""

    size: tuple[int, int]

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Return rows as they are stored, (n, W) or (n, W, C)."""

    def close(self) -> None:
        """Let go of the file."""


class Raster:
    """An image or a mask on disk, a band of rows at a time; a context manager.

    Parameters
    ----------
    source : Source
        Where the pixels come from.
    convert : callable
        Makes of them what is asked for.
    """

    def __init__(self, source: Source, convert: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self._source, self._convert = source, convert

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self._source.size

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Return the rows from `top` up to `bottom`."""
        return self._convert(self._source.rows(top, bottom))

    def __enter__(self) -> Raster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._source.close()


class Blank:
    """An image of no colour, for methods that look at masks alone."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return rows that take no memory."""
        return np.broadcast_to(np.uint8(0), (bottom - top, self.size[1], 3))


def raster_size(path: Path) -> tuple[tuple[int, int], bool]:
    """Return the height and width of an image in pixels, from its header, and whether Pillow can read it.

    Raises
    ------
    ImageError
        If the file is missing or no image; TIFFs are tried with tifffile too, where that is installed.
    """
    try:
        return image_size(path), True
    except ImageError as error:
        if path.suffix.lower() not in TIFF or not path.is_file():
            raise
        try:
            source = _tiff(path)
        except ImageError:
            raise error from None
        source.close()
        return source.size, False


def open_image(path: Path, folder: Path | None = None) -> Raster:
    """Open an image as rows of RGB, (n, W, 3) of uint8.

    Parameters
    ----------
    path : Path
        As for `sisegcli.data.images.read_image`, but a TIFF may have any size.
    folder : Path, optional
        Where what Pillow decodes is kept until the raster is closed.

    Raises
    ------
    ImageError
        If the file is missing, damaged, too large, no image, or has pixels that are no RGB and no grey; if it is a TIFF
        and tifffile is not installed.
    """
    if path.suffix.lower() in TIFF:
        tiff = _tiff(path)
        return Raster(tiff, lambda rows: tiff.rgb(rows))
    return Raster(_decoded(path, folder, lambda picture: to_rgb(picture, path)), lambda rows: rows)


def open_mask(path: Path, reader: MaskReader, folder: Path | None = None) -> Raster:
    """Open a semantic mask as rows of category ids, (n, W) of int32.

    Parameters
    ----------
    path : Path
        As for `MaskReader.read`, but a TIFF may have any size.
    reader : MaskReader
        Says what values and colours mean.
    folder : Path, optional
        Where what Pillow decodes is kept until the raster is closed.

    Raises
    ------
    ImageError
        As by `open_image`; rows raise it too, for values that are no ids and colours that are not in the table.
    """
    if path.suffix.lower() in TIFF:
        return Raster(_tiff(path), lambda rows: reader.ids(rows, path))
    with opened(path, None) as (picture, _):
        take = reader.values_of(picture, path)
    return Raster(_decoded(path, folder, take), lambda rows: reader.ids(rows, path))


def _tiff(path: Path) -> Any:
    from sisegcli.data.tiff import TiffSource  # imports tifffile

    return TiffSource(path)


class _Decoded:
    """What Pillow decoded, in a nameless file, upright."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any], orientation: int) -> None:
        self._file, self._shape, self._dtype, self._orientation = file, shape, dtype, orientation
        self.size: tuple[int, int] = self._view().shape[:2]

    def _view(self) -> NDArray[Any]:
        # Mapped anew each time, so that what was read before does not count as memory.
        return turned(np.memmap(self._file, self._dtype, "r", shape=self._shape), self._orientation)

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        return np.array(self._view()[top:bottom])

    def close(self) -> None:
        self._file.close()


def _decoded(path: Path, folder: Path | None, take: Callable[[Image.Image], NDArray[Any]]) -> _Decoded:
    """Decode a picture with Pillow; `take` makes an array of each band of it."""
    height, width = image_size(path)
    if height * width > MAX_DECODED:
        raise ImageError(
            f"{path} has {height} x {width} pixels, more than the {MAX_DECODED:,} that can be decoded at once; "
            "save it as a tiled TIFF, which is read piece by piece."
        )
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        with opened(path, None) as (picture, orientation):
            width, height = picture.size
            for top in range(0, height, BAND):
                band = take(picture.crop((0, top, width, min(top + BAND, height))))
                file.write(np.ascontiguousarray(band).data)
        file.flush()
        source = _Decoded(file, (height, width, *band.shape[2:]), band.dtype, orientation)
        stack.pop_all()
        return source
