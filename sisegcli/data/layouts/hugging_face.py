"""Hugging Face's image folders: ``metadata.csv`` or ``metadata.jsonl`` names an image and its mask in each row.

The image is in the column ``file_name`` or ``image_file_name``, the mask in a column such as ``mask_file_name``,
``label_file_name`` or ``annotation_file_name``; names are relative to the metadata. There may be a folder for each
split.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from sisegcli.data.layouts.records import Pair, Problem, leads_out
from sisegcli.data.texts import parse_json, read_text
from sisegcli.errors import LayoutError

METADATA = ("metadata.csv", "metadata.jsonl")

_IMAGE = ("file_name", "image_file_name", "image")
_MASK = re.compile(r".*(mask|label|annotation|segmentation|seg).*")


def metadata_pairs(base: Path) -> tuple[list[Pair], list[Problem]] | None:
    """Return the pairs that metadata in a folder, or in the folders right inside, names; None where there is none.

    Raises
    ------
    LayoutError
        If metadata cannot be understood.
    """
    folders = [base, *sorted(path for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))]
    pairs: dict[str, Pair] = {}
    problems: list[Problem] = []
    found = False
    for metadata in (folder / name for folder in folders for name in METADATA):
        for image_name, mask_name in _rows(metadata):
            found = True
            wrong = next((name for name in (image_name, mask_name) if leads_out(name)), None)
            if wrong is not None:
                sentence = f"{metadata} names {wrong[:99]!r}, which is no file below its folder; take it out."
                problems.append(Problem(metadata, sentence))
                continue
            image, mask = metadata.parent / image_name, metadata.parent / mask_name
            stem = (PurePosixPath(metadata.parent.relative_to(base)) / image_name).with_suffix("").as_posix()
            absent = next((path for path in (image, mask) if not _is_there(path)), None)
            if absent is not None:
                problems.append(Problem(absent, f"{absent} is named in {metadata} but not there; add it."))
            elif stem in pairs:
                there = pairs[stem].image
                problems.append(Problem(image, f"{image} is a second image beside {there}; remove one."))
            else:
                pairs[stem] = Pair(stem, image, mask)
    return (sorted(pairs.values()), problems) if found else None


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of image and mask in each row; nothing where there are no such columns."""
    if not path.is_file():
        return
    try:
        text = read_text(path)
        rows: list[dict[str, Any]] = (
            list(csv.DictReader(text.splitlines()))
            if path.suffix == ".csv"
            else [parse_json(line) for line in text.splitlines() if line.strip()]
        )
        columns = list(rows[0]) if rows else []
        image = next((name for name in _IMAGE if name in columns), None)
        masks = [name for name in columns if name != image and _MASK.fullmatch(name)]
        if image is None or not masks or not _is_file_name(rows[0][masks[0]]):
            return
        for row in rows:
            yield str(row[image]), str(row[masks[0]])
    except (OSError, ValueError, csv.Error, KeyError, TypeError) as error:
        raise LayoutError(
            f"{path} cannot be understood ({error}); it needs file_name and mask_file_name in each row, or name the "
            "folders with --images and --masks."
        ) from error


def _is_file_name(value: object) -> bool:
    """Tell the name of a mask from the label of a class."""
    return isinstance(value, str) and PurePosixPath(value).suffix != ""
