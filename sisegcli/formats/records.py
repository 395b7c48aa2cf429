"""What a writer is given, and what every writer can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sisegcli.categories import Categories
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

        Examples
        --------
        >>> ImageResult("street/0001", Path("/photos/street/0001.jpg"), (2, 2), []).file_name
        'street/0001.jpg'
        """
        return str(PurePosixPath(self.stem).with_name(self.image.name))


class Writer(ABC):
    """A format on its way to disk: images are added one by one, then everything is closed or aborted.

    What is added consists of two parts: files of the image alone, which are whole when `write` returns, and an entry
    in a file of the whole run. A run keeps entries in its journal and appends them, in the order of the images, at its
    end; `add` does both at once. A format that cannot hold an image raises `OutputError`, when it is written where that
    is possible, else when it is appended.

    Parameters
    ----------
    out : Path
        The folder to write into; it is made where it is missing.
    categories : Categories
        Names of categories, and their order; ids that only occur in instances follow them.
    polygons : bool
        Polygons instead of run-length codes, in formats that have both.
    overwrite : bool
        Replace files that exist.

    Attributes
    ----------
    paths : list of Path
        The files and folders that it writes.

    Raises
    ------
    OutputError
        If a file exists and `overwrite` is off, if it cannot be written, if a stem leads out of the folder, or if the
        format cannot hold an image.
    """

    paths: list[Path]

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.out, self.categories = Path(out), categories
        self.polygons, self.overwrite = polygons, overwrite
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Set `paths`, and begin the files of the whole run; those that exist are refused."""

    def files(self, stem: str) -> list[Path]:
        """Return the files of one image alone: none by default."""
        return []

    @abstractmethod
    def write(self, result: ImageResult) -> str:
        """Write the files of one image alone; return its entry, which is empty in formats without a file of the run."""

    def append(self, entry: str) -> None:  # noqa: B027
        """Append the entry of an image to the file of the whole run, if there is one; nothing of it stays in memory."""

    def add(self, result: ImageResult) -> None:
        """Write one image and append its entry."""
        self.append(self.write(result))

    def close(self) -> None:  # noqa: B027
        """Finish the output under its final name, if it is not yet; a second call does nothing."""

    def abort(self) -> None:  # noqa: B027
        """Remove what is unfinished, and leave files of images, which are whole; nothing happens after `close`."""
