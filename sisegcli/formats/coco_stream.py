"""COCO's JSON files of images, annotations and categories, written as images come, in flat memory."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sisegcli import __version__
from sisegcli.categories import Category
from sisegcli.formats.files import output_errors, refuse_existing, temporary_name
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Instance


class CocoStream:
    """A file on its way: one record a line, so that `joining` can read it line by line.

    Parameters
    ----------
    path : Path
        The file; its folder is made where it is missing.
    overwrite : bool
        Replace a file that exists.

    Attributes
    ----------
    images, annotations : int
        How many were written; both are numbered from 1 in order of arrival.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self.path = path
        refuse_existing(path, overwrite=overwrite)
        self.images = self.annotations = 0
        self._temporary = temporary_name(path)
        with output_errors(path):
            # Images go straight into the file; annotations wait in a nameless one, which no crash can leave behind.
            self._file = self._temporary.open("w", encoding="utf-8")
            self._waiting = tempfile.TemporaryFile("w+", encoding="utf-8", dir=path.parent)  # noqa: SIM115
            self._file.write('{"info": ' + line({"description": "Instances from sisegcli", "version": __version__}))
            self._file.write(',\n"licenses": [],\n"images": [')

    def add_image(self, result: ImageResult) -> None:
        """Append an image, to which the annotations that follow belong."""
        height, width = result.size
        with output_errors(self.path):
            self._file.write(",\n" if self.images else "\n")
            self.images += 1
            image = {"id": self.images, "file_name": result.file_name, "width": width, "height": height}
            self._file.write(line(image))

    def add_annotation(self, record: dict[str, Any]) -> None:
        """Append an annotation."""
        with output_errors(self.path):
            self._waiting.write(",\n" if self.annotations else "\n")
            self.annotations += 1
            self._waiting.write(line(record))

    def close(self, categories: Iterable[dict[str, Any]]) -> None:
        """Join images, annotations and categories under the final name; a second call does nothing."""
        if self._file.closed:
            return
        with output_errors(self.path):
            self._file.write('\n],\n"annotations": [')
            self._waiting.seek(0)
            shutil.copyfileobj(self._waiting, self._file, 1 << 20)
            self._file.write('\n],\n"categories": [\n' + ",\n".join(line(record) for record in categories) + "\n]}\n")
            self._waiting.close()
            self._file.close()
            self._temporary.replace(self.path)

    def abort(self) -> None:
        """Remove the temporary files."""
        self._waiting.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def line(value: Any) -> str:
    """Return JSON without line breaks."""
    return json.dumps(value, ensure_ascii=False)


def category_record(category: Category) -> dict[str, Any]:
    """Return a category as COCO has it, with ``isthing`` of the panoptic format."""
    return {
        "id": category.id,
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.isthing),
    }


def coco_box(instance: Instance) -> list[int]:
    """Return the box of an instance as left, top, width and height, in pixels."""
    top, left, height, width = instance.box
    return [left, top, width, height]


def coco_rle(instance: Instance) -> dict[str, Any]:
    """Return the mask of an instance as a compressed run-length code that JSON can hold."""
    return {"size": list(instance.size), "counts": instance.counts.decode("ascii")}
