"""Datumaro's own format: ``datumaro/annotations/default.json``.

Each image is an item, each instance a mask (a compressed run-length code) with its score as an attribute. Labels count
from 0: the listed categories in order of id, then ids that nobody named. Images are not copied: Datumaro looks for them
in ``datumaro/images/default/``, and reads the masks without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from sisegcli.errors import InputError
from sisegcli.formats.coco_stream import coco_rle, line
from sisegcli.formats.files import replacing
from sisegcli.formats.names import names_beside
from sisegcli.formats.own_files import foreign, lines, records, value
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.run_file import RunFile

_START = '{"dm_format_version": "1.0", "media_type": 2, "infos": {}, "items": ['
_LABELS = '], "categories": {"label": {"labels": ['
_END = '], "label_groups": [], "attributes": []}}}\n'


class DatumaroWriter(Writer):
    """Write ``datumaro/`` into a folder."""

    def begin(self) -> None:
        """Begin the file."""
        self.folder = self.out / "datumaro"
        self.paths = [self.folder]
        self._path = self.folder / "annotations" / "default.json"
        self._file = RunFile(self._path, _START, overwrite=self.overwrite)
        self._labels = self._items = 0

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image: how many labels it needs, and its item."""
        labels = 0
        annotations = []
        for number, instance in enumerate(result.instances, start=1):
            label = self.categories.number(instance.category)
            labels = max(labels, label + 1)
            annotations.append(
                {
                    "id": number,
                    "type": "mask",
                    "attributes": {"score": round(instance.score, 6)},
                    "group": number,
                    "label_id": label,
                    "z_order": 0,
                    "rle": coco_rle(instance),
                }
            )
        item = {
            "id": result.stem,
            "annotations": annotations,
            "attr": {},
            "image": {"path": result.file_name, "size": list(result.size)},
        }
        return f"{labels}\n{line(item)}"

    def append(self, entry: str) -> None:
        """Append an image and its instances."""
        labels, item = entry.split("\n")
        self._labels = max(self._labels, int(labels))
        self._file.write((",\n" if self._items else "\n") + item)
        self._items += 1

    def close(self) -> None:
        """Append the labels and give the file its name; a second call does nothing."""
        categories = self.categories.numbered(self._labels)
        labels = [{"name": category.name, "parent": "", "attributes": []} for category in categories]
        self._file.close(f"\n{_LABELS}\n" + ",\n".join(map(line, labels)) + f"\n{_END}")

    def abort(self) -> None:
        """Remove what is unfinished."""
        self._file.abort()
        with suppress(OSError):  # not empty, or not there
            self._path.parent.rmdir()
            self.folder.rmdir()


def join_datumaro(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join files of a `DatumaroWriter`: all items, and the labels of the longest, with which the others must agree.

    Raises
    ------
    InputError
        If a file has another form, an image is in two of them, or a label has two names.
    OutputError
        If `target` cannot be written.
    """
    longest: list[dict[str, Any]] = []
    number = 0
    with (
        replacing(target) as temporary,
        temporary.open("w", encoding="utf-8") as out,
        nullcontext() if disjoint else names_beside(target, paths) as names,
    ):
        out.write(_START)
        for place, path in enumerate(paths):
            if next(lines(path), "").rstrip("\n") != _START:
                raise foreign(path)
            for item in records(path, _START):
                stem = value(item, "id", str, path)
                if names is not None:
                    names.add(stem, place)
                out.write((",\n" if number else "\n") + line(item))
                number += 1
            labels = list(records(path, _LABELS))
            if any(one != other for one, other in zip(labels, longest, strict=False)):
                raise InputError(
                    f"{path} and {paths[0]} have different labels; convert both with the same --categories."
                )
            longest = max(longest, labels, key=len)
        out.write(f"\n{_LABELS}\n" + ",\n".join(map(line, longest)) + f"\n{_END}")
    return number
