"""A CSV of instances, for formats whose pictures have no place for scores."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import IO

from sisegcli.categories import Categories
from sisegcli.formats.files import flush_to_disk, output_errors, refuse_existing, temporary_name
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
        self._opened: IO[str] | None = None
        self._closed = False

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
        with output_errors(self.path):
            self._file().write(lines)

    def _file(self) -> IO[str]:
        if self._opened is None:
            self._opened = self._temporary.open("w", encoding="utf-8", newline="")
            self._opened.write(",".join(COLUMNS) + "\n")
        return self._opened

    def close(self) -> None:
        """Give the file its name; a second call does nothing."""
        if self._closed:
            return
        with output_errors(self.path):
            self._file().close()
            flush_to_disk(self._temporary)
            self._temporary.replace(self.path)
        self._closed = True

    def abort(self) -> None:
        """Remove what is unfinished."""
        self._closed = True
        if self._opened is not None:
            with suppress(OSError):  # a full disk, again
                self._opened.close()
        self._temporary.unlink(missing_ok=True)
