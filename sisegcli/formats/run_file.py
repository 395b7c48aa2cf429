"""A text file of the whole run, filled image by image."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TextIO

from sisegcli.formats.files import flush_to_disk, output_errors, refuse_existing, temporary_name


class RunFile:
    """A file on its way under a temporary name: begun when it is written to first, renamed when it is whole.

    Parameters
    ----------
    path : Path
        The file; its folder is made where it is missing.
    head : str
        What it begins with.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, path: Path, head: str, *, overwrite: bool) -> None:
        self.path = path
        refuse_existing(path, overwrite=overwrite)
        self._head = head
        self._temporary = temporary_name(path)
        self._file: TextIO | None = None
        self._closed = False

    def write(self, text: str) -> None:
        """Append a text."""
        with output_errors(self.path):
            self.opened().write(text)

    def opened(self) -> TextIO:
        """Return the open file."""
        if self._file is None:
            self._temporary = temporary_name(self.path)
            self._file = self._temporary.open("w", encoding="utf-8", newline="\n")
            self._file.write(self._head)
        return self._file

    def close(self, tail: str = "") -> None:
        """Append the end and give the file its name; a second call does nothing."""
        if self._closed:
            return
        with output_errors(self.path):
            file = self.opened()
            file.write(tail)
            file.close()
            flush_to_disk(self._temporary)
            self._temporary.replace(self.path)
        self._closed = True

    def abort(self) -> None:
        """Remove what is unfinished; nothing happens after `close`."""
        if self._closed:
            return
        if self._file is not None:
            with suppress(OSError):  # a full disk, again
                self._file.close()
        self._file = None
        self._temporary.unlink(missing_ok=True)
