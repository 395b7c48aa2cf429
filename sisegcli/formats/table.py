"""Label images with a CSV of instances beside them, as pictures have no place for scores."""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from sisegcli.categories import Categories
from sisegcli.formats.files import below, refuse_existing
from sisegcli.formats.records import ImageResult, Writer
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


class TableWriter(Writer):
    """Write label images of each image, and a table of all instances.

    Attributes
    ----------
    folders : tuple of str
        Each image has a file in each of them.
    suffix : str
        What these files end in.
    table : str
        Name of the table.
    """

    folders: ClassVar[tuple[str, ...]]
    suffix: ClassVar[str]
    table: ClassVar[str]

    def begin(self) -> None:
        """Begin the table."""
        self.path = self.out / self.table
        self.paths = [*(self.out / name for name in self.folders), self.path]
        self._table = InstanceTable(self.path, self.categories, overwrite=self.overwrite)

    def files(self, stem: str) -> list[Path]:
        """Return the label images of an image."""
        return [below(self.out / name, stem, self.suffix) for name in self.folders]

    def write(self, result: ImageResult) -> str:
        """Write the label images of an image; return its lines of the table."""
        paths = self.files(result.stem)
        refuse_existing(*paths, overwrite=self.overwrite)
        self.write_files(result, *paths)
        return self._table.lines(result)

    @abstractmethod
    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write an image's files to these paths, all at once or not at all."""

    def append(self, entry: str) -> None:
        """Append lines to the table."""
        self._table.append(entry)

    def close(self) -> None:
        """Give the table its name; a second call does nothing."""
        self._table.close()

    def abort(self) -> None:
        """Remove the unfinished table; the images that were written are whole and stay."""
        self._table.abort()
