"""What a writer is given, and what every writer can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from sisegcli.instances import Instance


@dataclass(frozen=True)
class ImageResult:
    """The instances of one image.

    Attributes
    ----------
    stem : str
        Path of the image below its folder, without the suffix, with forward slashes: ``street/0001``.
    image : Path
        The image file.
    size : tuple of int
        Height and width of the image, in pixels.
    instances : list of Instance
        Disjoint instances, in the order in which they are numbered.
    """

    stem: str
    image: Path
    size: tuple[int, int]
    instances: list[Instance]

    @property
    def file_name(self) -> str:
        """The image file's name below its folder.

        >>> ImageResult("street/0001", Path("/photos/street/0001.jpg"), (2, 2), []).file_name
        'street/0001.jpg'
        """
        return str(PurePosixPath(self.stem).with_name(self.image.name))


class Writer(Protocol):
    """A format on its way to disk: images are added one by one, then everything is closed or aborted.

    What is added consists of two parts: files of the image alone, which are whole when `write` returns, and an entry
    in a file of the whole run. A run keeps entries in its journal and appends them, in the order of the images, at its
    end; `add` does both at once.

    Attributes
    ----------
    paths : list of Path
        The files and folders that it writes.
    """

    paths: list[Path]

    def files(self, stem: str) -> list[Path]:
        """Return the files of one image alone."""

    def write(self, result: ImageResult) -> str:
        """Write the files of one image alone; return its entry, which is empty in formats without a file of the run."""

    def append(self, entry: str) -> None:
        """Append the entry of an image to the file of the whole run; nothing of it stays in memory."""

    def add(self, result: ImageResult) -> None:
        """Write one image and append its entry."""

    def close(self) -> None:
        """Finish the output under its final name; a second call does nothing."""

    def abort(self) -> None:
        """Remove what is unfinished; nothing happens after `close`."""
