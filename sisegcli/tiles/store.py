"""Part numbers of a large image on disk, written from top to bottom and read in bands."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from sisegcli.formats.files import output_errors
from sisegcli.instances import Labels


class LabelStore:
    """A nameless temporary file of int32, which no crash can leave behind.

    It is read and written, not mapped, so that its pages do not count as memory of the program.

    Parameters
    ----------
    width : int
        Width of the image, in pixels.
    folder : Path
        Where the file lies; four bytes a pixel have to fit there.
    """

    def __init__(self, width: int, folder: Path) -> None:
        self.width, self.height = width, 0
        self._folder = folder
        with output_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, rows: Labels) -> None:
        """Write the next (n, width) rows."""
        with output_errors(self._folder):
            self._file.write(np.ascontiguousarray(rows, np.int32).data)
        self.height += len(rows)

    def bands(self, height: int) -> Iterator[tuple[int, Labels]]:
        """Yield the first row and the labels of each band of at most `height` rows."""
        self._file.seek(0)
        for top in range(0, self.height, height):
            count = min(height, self.height - top)
            rows = np.frombuffer(self._file.read(count * self.width * 4), np.int32)
            yield top, rows.reshape(count, self.width)
