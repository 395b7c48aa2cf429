"""YOLO's segmentation labels, as Ultralytics reads them: ``yolo/labels/NAME.txt`` and ``yolo/data.yaml``.

Each line is an object: its class, counted from 0, then the corners of one polygon, x and y as parts of width and
height. Several pieces, and holes, are joined to one polygon by slits of no width (see `one_outline`), so an object is
one line and none is lost; an image without objects has an empty file. Classes are the listed categories in order of
id, and ids that nobody named after them. Scores have no place here.

Images are not copied. Ultralytics looks for labels in ``labels/`` where images are in ``images/``, so the image folder
belongs at ``yolo/images``: copied, or as a link.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sisegcli.data.texts import MAX_TEXT
from sisegcli.errors import InputError
from sisegcli.formats.files import below, refuse_existing, replacing
from sisegcli.formats.one_outline import one_outline
from sisegcli.formats.own_files import foreign, lines
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.instances import Instance

_HEAD = "# Put the images, or a link to their folder, here as images/; split them as you need.\n"
_TOP = [_HEAD, "train: images\n", "val: images\n", "names:\n"]


class YoloWriter(Writer):
    """Write ``yolo/`` into a folder."""

    def begin(self) -> None:
        """Name the files."""
        self.folder = self.out / "yolo"
        self.paths = [self.folder]
        self._data = self.folder / "data.yaml"
        refuse_existing(self._data, overwrite=self.overwrite)
        self._classes = 0
        self._closed = False

    def files(self, stem: str) -> list[Path]:
        """Return the labels of an image."""
        return [below(self.folder / "labels", stem, ".txt")]

    def write(self, result: ImageResult) -> str:
        """Write the labels of an image; return how many classes it needs."""
        [path] = self.files(result.stem)
        refuse_existing(path, overwrite=self.overwrite)
        classes = 0
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            for instance in result.instances:
                number = self.categories.number(instance.category)
                classes = max(classes, number + 1)
                file.write(f"{number} {_corners(instance)}\n")
        return str(classes)

    def append(self, entry: str) -> None:
        """Count the classes of an image, too."""
        self._classes = max(self._classes, int(entry))

    def close(self) -> None:
        """Write ``data.yaml``; a second call does nothing."""
        if self._closed:
            return
        # A string of JSON is one of YAML.
        names = enumerate(category.name for category in self.categories.numbered(self._classes))
        lines = [f"  {number}: {json.dumps(name, ensure_ascii=False)}\n" for number, name in names]
        with replacing(self._data) as temporary:
            temporary.write_text("".join([*_TOP, *lines]), encoding="utf-8")
        self._closed = True


def _corners(instance: Instance) -> str:
    height, width = instance.size
    return " ".join(f"{x / width:.9g} {y / height:.9g}" for x, y in one_outline(instance))


def join_data(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join ``data.yaml`` files: the classes of the longest, with which the others must agree; no images are counted.

    Raises
    ------
    InputError
        If a file has another form, or a class has two names.
    OutputError
        If `target` cannot be written.
    """
    longest: list[str] = []
    for path in paths:
        own = list(lines(path, limit=MAX_TEXT))
        if own[: len(_TOP)] != _TOP:
            raise foreign(path)
        if any(one != other for one, other in zip(own, longest, strict=False)):
            raise InputError(
                f"{path} and {paths[0]} have different names of classes; convert both with the same --categories."
            )
        longest = max(longest, own, key=len)
    with replacing(target) as temporary:
        temporary.write_text("".join(longest), encoding="utf-8")
    return 0
