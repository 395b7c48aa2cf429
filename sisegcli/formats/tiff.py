"""Label images as TIFF: tiled, compressed, 32 bits, whatever their size.

``labels/NAME.tif`` holds instance numbers from 1; 0 is nobody. Categories and scores have no place in it:
``labels.csv`` lists them. tifffile writes the files; BigTIFF is taken where more than 4 GB may come.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sisegcli.categories import Categories
from sisegcli.errors import OutputError
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.table import InstanceTable
from sisegcli.instances import Instance

TILE = 512
"""Side of the file's tiles, in pixels."""


class TiffWriter(Writer):
    """Write ``labels/`` and ``labels.csv`` into a folder.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Names for the CSV.
    polygons : bool
        Without meaning here; taken so that all writers are made alike.
    overwrite : bool
        Replace files that exist.

    Raises
    ------
    OutputError
        If tifffile is not installed; if a file exists and `overwrite` is off, if it cannot be written, or if a stem
        leads out of the folder.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        try:
            import tifffile
        except ImportError as error:
            raise OutputError("--to tiff writes with tifffile; pip install 'sisegcli[large]'.") from error
        self._tifffile = tifffile
        self.folder = Path(out) / "labels"
        self.paths = [self.folder, Path(out) / "labels.csv"]
        self._overwrite = overwrite
        self._table = InstanceTable(self.paths[1], categories, overwrite=overwrite)

    def files(self, stem: str) -> list[Path]:
        """Return the TIFF of an image."""
        return [below(self.folder, stem, ".tif")]

    def write(self, result: ImageResult) -> str:
        """Write the labels of an image; return its lines of the CSV."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self._overwrite)
        height, width = result.size
        big = height * width * 4 > 2**32 - 2**25
        with replacing(path) as temporary, self._tifffile.TiffWriter(temporary, bigtiff=big) as file:
            file.write(
                _tiles(result.instances, result.size),
                shape=result.size,
                dtype=np.uint32,
                tile=(TILE, TILE),
                compression="zlib",
                photometric="minisblack",
                metadata=None,
                software="sisegcli",
            )
        return self._table.lines(result)

    def append(self, entry: str) -> None:
        """Append lines to the CSV."""
        self._table.append(entry)

    def close(self) -> None:
        """Give ``labels.csv`` its name; a second call does nothing."""
        self._table.close()

    def abort(self) -> None:
        """Remove the unfinished CSV; the images that were written are whole and stay."""
        self._table.abort()


def _tiles(instances: list[Instance], size: tuple[int, int]) -> Iterator[NDArray[np.uint32]]:
    """Paint one row of tiles after the other: instance i gets label i + 1; later ones paint over earlier ones."""
    height, width = size
    rows: list[list[int]] = [[] for _ in range(-(-height // TILE))]
    for number, instance in enumerate(instances):
        top, _, tall, _ = instance.box
        for row in range(top // TILE, (top + tall - 1) // TILE + 1):
            rows[row].append(number)
    for row, numbers in enumerate(rows):
        first = row * TILE
        band = np.zeros((TILE, -(-width // TILE) * TILE), np.uint32)
        for number in numbers:
            top, left, tall, wide = instances[number].box
            begin, end = max(top, first), min(top + tall, first + TILE)
            inside = instances[number].crop((begin, left, end - begin, wide))
            band[begin - first : end - first, left : left + wide][inside] = number + 1
        for x in range(0, band.shape[1], TILE):
            yield np.ascontiguousarray(band[:, x : x + TILE])
