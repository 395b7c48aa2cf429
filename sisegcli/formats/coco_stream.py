"""COCO's JSON files of images, annotations and categories, written as images come, in flat memory."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from sisegcli import __version__
from sisegcli.categories import Category
from sisegcli.formats.files import output_errors
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.run_file import RunFile
from sisegcli.instances import Instance


class CocoStream:
    """A file on its way: one record a line, so that `joining` can read it line by line.

    Parameters
    ----------
    path : Path
        The file; its folder is made where it is missing.
    numbered : bool
        Whether annotations have numbers.
    overwrite : bool
        Replace a file that exists.

    Attributes
    ----------
    seen : set of int
        Ids of the categories of what was appended.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, path: Path, *, numbered: bool = True, overwrite: bool) -> None:
        self.seen: set[int] = set()
        self._numbered = numbered
        self._images = self._annotations = 0
        info = line({"description": "Instances from sisegcli", "version": __version__})
        self._file = RunFile(path, f'{{"info": {info},\n"licenses": [],\n"images": [', overwrite=overwrite)
        self._waiting: IO[str] | None = None
        self._closed = False

    def append(self, entry: str) -> None:
        """Append an image and its annotations, which `coco_entry` made; all are numbered from 1 as they come."""
        seen, image, *annotations = entry.split("\n")
        self.seen.update(json.loads(seen))
        with output_errors(self._file.path):
            self._file.write(",\n" if self._images else "\n")
            self._images += 1
            self._file.write(f'{{"id": {self._images}, {image}')
            waiting = self._annotations_file()
            for annotation in annotations:
                waiting.write(",\n{" if self._annotations else "\n{")
                self._annotations += 1
                number = f'"id": {self._annotations}, ' if self._numbered else ""
                waiting.write(f'{number}"image_id": {self._images}, {annotation}')

    def _annotations_file(self) -> IO[str]:
        """Return a file for annotations until all images are written; it has no name, so no crash can leave it."""
        if self._waiting is None:
            self._file.opened()  # which makes the folder
            folder = self._file.path.parent
            self._waiting = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=folder)  # noqa: SIM115
        return self._waiting

    def close(self, categories: Iterable[Category]) -> None:
        """Join images, annotations and categories under the final name; a second call does nothing."""
        if self._closed:
            return
        with output_errors(self._file.path):
            self._file.write('\n],\n"annotations": [')
            waiting = self._annotations_file()
            waiting.seek(0)
            shutil.copyfileobj(waiting, self._file.opened(), 1 << 20)
            waiting.close()
        records = ",\n".join(line(_category_record(category)) for category in categories)
        self._file.close(f'\n],\n"categories": [\n{records}\n]}}\n')
        self._closed = True

    def abort(self) -> None:
        """Remove the temporary files; nothing happens after `close`."""
        if self._waiting is not None:
            with suppress(OSError):  # a full disk, again
                self._waiting.close()
        self._waiting = None
        self._file.abort()


class CocoStreamWriter(Writer):
    """Write a JSON file of COCO's kind; memory stays flat however many images come.

    Attributes
    ----------
    name : str
        The file's name.
    numbered : bool
        Whether annotations have numbers.
    """

    name: ClassVar[str]
    numbered: ClassVar[bool] = True

    def begin(self) -> None:
        """Begin the file."""
        self.path = self.out / self.name
        self.paths = [self.path]
        self._stream = CocoStream(self.path, numbered=self.numbered, overwrite=self.overwrite)

    def append(self, entry: str) -> None:
        """Append an image and its annotations; all are numbered from 1 in order of arrival."""
        self._stream.append(entry)

    def close(self) -> None:
        """Give the file its name; a second call does nothing."""
        self._stream.close(self.listed(sorted({*self.categories, *self._stream.seen})))

    def listed(self, ids: list[int]) -> Iterable[Category]:
        """Return the categories to list, of all ids that are named or occur."""
        return map(self.categories.find, ids)

    def abort(self) -> None:
        """Remove the temporary files; those of images that were written are whole and stay."""
        self._stream.abort()


def coco_entry(result: ImageResult, annotations: Iterable[dict[str, Any]]) -> str:
    """Return an image and its annotations for a `CocoStream`, without the numbers that they will get.

    The first line lists the ids of the categories; records that follow lack their first brace.
    """
    height, width = result.size
    image = {"file_name": result.file_name, "width": width, "height": height}
    seen = sorted({instance.category for instance in result.instances})
    return "\n".join([line(seen), *(line(record)[1:] for record in (image, *annotations))])


def line(value: Any) -> str:
    """Return JSON without line breaks."""
    return json.dumps(value, ensure_ascii=False)


def _category_record(category: Category) -> dict[str, Any]:
    """Return a category as COCO has it, with ``isthing`` of the panoptic format."""
    return {
        "id": category.id,
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.isthing),
    }


def coco_box(instance: Instance) -> list[int]:
    """Return the box of an instance as left, top, width and height, in pixels.

    Examples
    --------
    >>> coco_box(Instance(category=5, score=1.0, size=(9, 9), counts=b"", box=(1, 2, 3, 4), area=12))
    [2, 1, 4, 3]
    """
    top, left, height, width = instance.box
    return [left, top, width, height]


def coco_rle(instance: Instance) -> dict[str, Any]:
    """Return the mask of an instance as a compressed run-length code that JSON can hold."""
    return {"size": list(instance.size), "counts": instance.counts.decode("ascii")}
