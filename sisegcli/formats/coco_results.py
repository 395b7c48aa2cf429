"""COCO results: ``coco_results.json``, a list of scored instances for pycocotools' ``loadRes`` and COCO's server.

See https://cocodataset.org/#format-results. Images are known by number alone. A file that is called as a number is
(COCO's ``000000397133.jpg``) has that number, which its data set's annotations use, too; any other has its place in
the run, counted from 1, or where that number is taken, the next that is free. ``coco_results.csv`` lists the numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from sisegcli.errors import InputError, OutputError
from sisegcli.formats.coco_stream import coco_box, coco_rle, line
from sisegcli.formats.files import replacing
from sisegcli.formats.own_files import foreign, lines, records, value
from sisegcli.formats.records import ImageResult, Writer
from sisegcli.formats.run_file import RunFile

HEADER = ("image_id", "file_name")


class ImageNumbers:
    """Gives images their numbers, in the order of a run.

    Examples
    --------
    >>> numbers = ImageNumbers()
    >>> [numbers.take(name) for name in ("val2017/000000397133.jpg", "street.jpg", "3.jpg", "field.jpg", "03.jpg")]
    [397133, 2, 3, 4, None]
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._free = 1  # images without a number get none before this one any more

    def take(self, file_name: str) -> int | None:
        """Return the number of the next image; None if it is called as a number that another image has."""
        number = called_number(file_name)
        if number is None:
            number = max(self._free, len(self._taken) + 1)
            while number in self._taken:
                number += 1
            self._free = number + 1
        elif number in self._taken:
            return None
        self._taken.add(number)
        return number


def called_number(file_name: str) -> int | None:
    """Return the number as which a file is called.

    >>> called_number("val2017/000000397133.jpg"), called_number("street.jpg")
    (397133, None)
    """
    stem = PurePosixPath(file_name).stem
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 19 else None


class CocoResultsWriter(Writer):
    """Write ``coco_results.json`` and ``coco_results.csv`` into a folder."""

    def begin(self) -> None:
        """Begin both files."""
        self.path = self.out / "coco_results.json"
        self.paths = [self.path, self.path.with_suffix(".csv")]
        self._file = RunFile(self.path, "[", overwrite=self.overwrite)
        self._table = RunFile(self.paths[1], _row(HEADER), overwrite=self.overwrite)
        self._numbers = ImageNumbers()
        self._results = 0

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image: its name, then a line of each instance, without the image's number."""
        records = (
            {
                "category_id": instance.category,
                "segmentation": coco_rle(instance),
                "bbox": coco_box(instance),
                "score": round(instance.score, 6),
            }
            for instance in result.instances
        )
        return "\n".join([line(result.file_name), *(line(record)[1:] for record in records)])

    def append(self, entry: str) -> None:
        """Append the instances of an image; one whose number was taken before is refused."""
        first, *records = entry.split("\n")
        file_name = json.loads(first)
        number = self._numbers.take(file_name)
        if number is None:
            raise OutputError(
                f"{file_name} has the image number {called_number(file_name)} in {self.path}, as another image has; "
                "convert them apart, or write COCO's instances."
            )
        self._table.write(_row((number, file_name)))
        for record in records:
            self._file.write(",\n" if self._results else "\n")
            self._results += 1
            self._file.write(f'{{"image_id": {number}, {record}')

    def close(self) -> None:
        """Give the files their names; a second call does nothing."""
        self._file.close("\n]\n")
        self._table.close()

    def abort(self) -> None:
        """Remove what is unfinished."""
        self._file.abort()
        self._table.abort()


def _row(values: Sequence[object]) -> str:
    """Return a line of the CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def join_results(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join ``coco_results.json`` files; images are numbered as one run would have done.

    Raises
    ------
    InputError
        If a file has another form, or two images have the same number.
    OutputError
        If `target` cannot be written.
    """
    total = 0
    tables = _numbers([path.with_suffix(".csv") for path in paths])
    with replacing(target) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.write("[")
        first = True
        for path, table in zip(paths, tables, strict=True):
            numbers = {old: new for old, new, _ in table}
            total += len(table)
            for record in records(path, "["):
                number = numbers.get(value(record, "image_id", int, path))
                if number is None:
                    raise foreign(path)
                out.write("\n" if first else ",\n")
                first = False
                out.write(line({**record, "image_id": number}))
        out.write("\n]\n")
    return total


def join_image_numbers(paths: Sequence[Path], target: Path, *, disjoint: bool = False) -> int:
    """Join ``coco_results.csv`` files; see `join_results`."""
    total = 0
    with replacing(target) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(HEADER)
        for rows in _numbers(paths):
            table.writerows((new, name) for _, new, name in rows)
            total += len(rows)
    return total


def _numbers(tables: Sequence[Path]) -> Iterator[list[tuple[int, int, str]]]:
    """Yield, for each table, the number of each image, its number in the whole, and its name.

    Beside one table, numbers alone are kept in memory.
    """
    numbers = ImageNumbers()
    for path in tables:
        rows = []
        for old, name in _table(path):
            number = numbers.take(name)
            if number is None:
                taken = called_number(name) or 0
                raise InputError(
                    f"{name} in {path} and {_holder(taken, tables)} have the same number {taken}; join only outputs of "
                    "different images."
                )
            rows.append((old, number, name))
        yield rows


def _holder(taken: int, tables: Sequence[Path]) -> str:
    """Return the name of the image that a number was given to."""
    numbers = ImageNumbers()
    return next(name for path in tables for _, name in _table(path) if numbers.take(name) == taken)


def _table(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and name of each image that a table lists."""
    rows = csv.reader(lines(path))
    try:
        if next(rows, None) != list(HEADER):
            raise foreign(path)
        for number, name in rows:
            yield int(number), name
    except (csv.Error, ValueError) as error:
        raise foreign(path) from error
