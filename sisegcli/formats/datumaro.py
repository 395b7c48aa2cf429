"""Datumaro's own format: ``datumaro/annotations/default.json``.

Each image is an item, each instance a mask (a compressed run-length code) with its score as an attribute. Labels count
from 0: the listed categories in order of id, then ids that nobody named. Images are not copied: Datumaro looks for them
in ``datumaro/images/default/``, and reads the masks without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from sisegcli.categories import Categories
from sisegcli.errors import InputError
from sisegcli.formats.coco_stream import coco_rle, line
from sisegcli.formats.files import output_errors, refuse_existing, replacing, temporary_name
from sisegcli.formats.joining import foreign, opened, records
from sisegcli.formats.records import ImageResult

_START = '{"dm_format_version": "1.0", "media_type": 2, "infos": {}, "items": ['
_LABELS = '], "categories": {"label": {"labels": ['
_END = '], "label_groups": [], "attributes": []}}}\n'


class DatumaroWriter:
    """Write ``datumaro/`` into a folder.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Names, and the order of labels.
    polygons : bool
        Without meaning here; taken so that all writers are made alike.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.folder = Path(out) / "datumaro"
        self.paths = [self.folder]
        self._path = self.folder / "annotations" / "default.json"
        refuse_existing(self._path, overwrite=overwrite)
        self._categories = categories
        self._labels = self._items = 0
        self._temporary: Path | None = None
        self._file: TextIO | None = None

    def _opened(self) -> TextIO:
        """Return the file, begun when it is asked for first, so that the folder is empty until then."""
        if self._file is None:
            self._temporary = temporary_name(self._path)
            self._file = self._temporary.open("w", encoding="utf-8")
            self._file.write(_START)
        return self._file

    def add(self, result: ImageResult) -> None:
        """Append an image and its instances."""
        annotations = []
        for number, instance in enumerate(result.instances, start=1):
            label = self._categories.number(instance.category)
            self._labels = max(self._labels, label + 1)
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
        with output_errors(self._path):
            file = self._opened()
            file.write((",\n" if self._items else "\n") + line(item))
            self._items += 1

    def close(self) -> None:
        """Append the labels and give the file its name; a second call does nothing."""
        if self._file is not None and self._file.closed:
            return
        categories = self._categories.numbered(self._labels)
        labels = [{"name": category.name, "parent": "", "attributes": []} for category in categories]
        with output_errors(self._path):
            file = self._opened()
            assert self._temporary is not None
            file.write(f"\n{_LABELS}\n" + ",\n".join(map(line, labels)) + f"\n{_END}")
            file.close()
            self._temporary.replace(self._path)

    def abort(self) -> None:
        """Remove what is unfinished."""
        if self._file is None or self._temporary is None:
            return
        self._file.close()
        self._temporary.unlink(missing_ok=True)
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
    seen: dict[str, Path] = {}
    longest: list[dict[str, Any]] = []
    number = 0
    with replacing(target) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write(_START)
        for path in paths:
            with opened(path) as file:
                if file.readline().rstrip("\n") != _START:
                    raise foreign(path)
            for item in records(path, _START):
                if not disjoint and seen.setdefault(item["id"], path) is not path:
                    raise InputError(
                        f"{item['id']} is in {seen[item['id']]} and in {path} too; join only outputs of different "
                        "images."
                    )
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
