"""Label images as TIFF: tiled, compressed, 32 bits, whatever their size.

``labels/NAME.tif`` holds instance numbers from 1; 0 is nobody. Categories and scores have no place in it:
``labels.csv`` lists them. tifffile writes the files; BigTIFF is taken where more than 4 GB may come.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sisegcli.errors import OutputError
from sisegcli.formats.files import replacing
from sisegcli.formats.records import ImageResult
from sisegcli.formats.table import TableWriter
from sisegcli.instances import Instance

TILE = 512
"""Side of the file's tiles, in pixels."""


class TiffWriter(TableWriter):
    """Write ``labels/`` and ``labels.csv`` into a folder."""

    folders, suffix, table = ("labels",), ".tif", "labels.csv"

    def begin(self) -> None:
        """Begin the table, and look for tifffile; an `OutputError` is raised where it is missing."""
        try:
            import tifffile
        except ImportError as error:
            raise OutputError("--to tiff writes with tifffile; pip install 'sisegcli[large]'.") from error
        self._tifffile = tifffile
        super().begin()

    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write the labels of an image."""
        [path] = paths
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
