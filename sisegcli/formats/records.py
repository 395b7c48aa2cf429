"""What a writer is given, and what every writer can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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

    Attributes
    ----------
    paths : list of Path
        The files and folders that it writes.
    """

    paths: list[Path]

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
