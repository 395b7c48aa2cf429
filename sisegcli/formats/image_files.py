"""What formats that are files of single images have in common: a folder, and nothing about the run as a whole."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from sisegcli.formats.files import below, refuse_existing
from sisegcli.formats.records import ImageResult, Writer


class ImageFilesWriter(Writer):
    """Write a folder in which each image has files of its own.

    Attributes
    ----------
    name : str
        The folder's name.
    suffixes : tuple of str
        What the names of an image's files end in.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def begin(self) -> None:
        """Name the folder."""
        self.folder = self.out / self.name
        self.paths = [self.folder]

    def files(self, stem: str) -> list[Path]:
        """Return the files of an image."""
        return [below(self.folder, stem, suffix) for suffix in self.suffixes]

    def write(self, result: ImageResult) -> str:
        """Write the files of an image; there is no entry."""
        paths = self.files(result.stem)
        refuse_existing(*paths, overwrite=self.overwrite)
        self.write_files(result, *paths)
        return ""

    @abstractmethod
    def write_files(self, result: ImageResult, *paths: Path) -> None:
        """Write an image's files to these paths, all at once or not at all."""
