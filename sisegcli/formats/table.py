"""A CSV of instances, for formats whose pictures have no place for scores."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.formats.records import ImageResult
from sisegcli.formats.run_file import RunFile

COLUMNS = ("stem", "instance", "category_id", "category", "score", "area", "top", "left", "height", "width")
"""Its columns; box and area are in pixels."""


class InstanceTable:
    """Write a line for each instance.

    Parameters
    ----------
    path : Path
        The file; its folder is made where it is missing.
    categories : Categories
        Names of categories.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, path: Path, categories: Categories, *, overwrite: bool = False) -> None:
        self._categories = categories
        self._file = RunFile(path, ",".join(COLUMNS) + "\n", overwrite=overwrite)

    def lines(self, result: ImageResult) -> str:
        """Return the lines of an image's instances, numbered from 1."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        for number, i in enumerate(result.instances, start=1):
            name = self._categories.name(i.category)
            table.writerow((result.stem, number, i.category, name, round(i.score, 6), i.area, *i.box))
        return text.getvalue()

    def append(self, lines: str) -> None:
        """Write lines."""
        self._file.write(lines)

    def close(self) -> None:
        """Give the file its name; a second call does nothing."""
        self._file.close()

    def abort(self) -> None:
        """Remove what is unfinished."""
        self._file.abort()
