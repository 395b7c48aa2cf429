"""A CSV of instances, for formats whose pictures have no place for scores."""

from __future__ import annotations

import csv
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.formats.files import output_errors, refuse_existing, temporary_name
from sisegcli.formats.records import ImageResult

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
        self.path = path
        refuse_existing(path, overwrite=overwrite)
        self._categories = categories
        self._temporary = temporary_name(path)
        with output_errors(path):
            self._file = self._temporary.open("w", encoding="utf-8", newline="")
            self._csv = csv.writer(self._file, lineterminator="\n")
            self._csv.writerow(COLUMNS)

    def add(self, result: ImageResult) -> None:
        """Write the instances of an image, numbered from 1."""
        with output_errors(self.path):
            for number, i in enumerate(result.instances, start=1):
                name = self._categories.name(i.category)
                self._csv.writerow((result.stem, number, i.category, name, round(i.score, 6), i.area, *i.box))

    def close(self) -> None:
        """Give the file its name; a second call does nothing."""
        if self._file.closed:
            return
        with output_errors(self.path):
            self._file.close()
            self._temporary.replace(self.path)

    def abort(self) -> None:
        """Remove what is unfinished."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)
