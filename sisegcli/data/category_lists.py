"""Lists of categories: the well-known ones, and files of names, COCO's JSON or CSV.

Sources of the built-in lists in `lists/`:

- ``voc``: the 20 classes in the order of the PASCAL VOC 2012 development kit, `VOCinit.m`; all are things.
- ``coco``: the 80 things of COCO 2017, with the ids of its annotations (1 to 90, with gaps).
- ``ade20k``: SceneParse150, `objectInfo150.txt`, the first name of each. Things are the 100 categories of the Places
  Challenge's instance segmentation, which ADE20K's panoptic split uses too (column SceneParse150 of the challenge's
  `categoryMapping.txt`; in Mask2Former, `datasets/ade20k_instance_catid_mapping.txt`). The column "Stuff" of
  `objectInfo150.txt` is another split: it has 35 stuff categories, and trees are not among them.
- ``cityscapes``: the label ids (not train ids) of cityscapesScripts, `helpers/labels.py`; things are those that have
  instances (24 person to 33 bicycle), everything else, void labels too, is one segment an image.
- ``cityscapes-train``: the train ids of the same file.
- ``coco-stuff``: `labels.txt` of https://github.com/nightrome/cocostuff, less one, as the PNGs have them, and without
  the 11 things that are never annotated.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories, Category
from sisegcli.data.texts import parse_json, read_text
from sisegcli.errors import CategoryError

LISTS = {
    "voc": "PASCAL VOC 2012: 20 things.",
    "coco": "COCO 2017: 80 things, with the ids of its annotations (1 to 90, with gaps).",
    "ade20k": "ADE20K SceneParse150: 100 things and 50 stuff categories.",
    "cityscapes": "Cityscapes, its label ids: 10 things; void labels are among the stuff.",
    "cityscapes-train": "Cityscapes, its train ids, 0 to 18: 8 things and 11 stuff categories.",
    "coco-stuff": "COCO-Stuff, the values of its pixel maps, 0 to 181 with gaps: 80 things and 91 stuff categories.",
}
"""The lists that come with the package, a sentence on each."""

BUILTIN = tuple(LISTS)
"""Their names."""

COLUMNS = ("id", "name", "isthing", "supercategory")
"""Columns of a list as CSV; the last two may be missing."""

MAX_ID = 2**31 - 1
"""Largest id, as masks hold ids of 32 bits."""

_IDS = f"ids are whole numbers from 0 to {MAX_ID}"
_NOT_CATEGORIES = {"__ignore__", "_background_", "__background__", "background"}
_TRUTH = {"1": True, "true": True, "yes": True, "": True, "0": False, "false": False, "no": False}


def load_categories(spec: str | Path) -> Categories:
    """Load a list of categories.

    Parameters
    ----------
    spec : str or Path
        A name in `LISTS`, such as ``voc``, or a file:

        - text, one name a line, ids from 1; ``__ignore__`` and ``_background_`` (or ``background``) at the top, as in
          labelme's ``class_names.txt``, are no categories and take no id;
        - COCO's JSON: ``categories`` with ``id`` and ``name``, maybe ``supercategory`` and ``isthing``; or Hugging
          Face's ``id2label.json``, names by id;
        - CSV with the header ``id,name``, maybe ``isthing`` (0, 1, true, false) and ``supercategory``.

    Raises
    ------
    CategoryError
        If there is no such list or file, or the file cannot be understood.

    Examples
    --------
    >>> load_categories("voc").name(15), load_categories("ade20k").isthing(3)
    ('person', False)
    """
    if str(spec).lower() in BUILTIN:
        source = f"{str(spec).lower()}.csv"
        return _from_csv((resources.files("sisegcli.data") / "lists" / source).read_text("utf-8"), source)
    path = Path(spec)
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise CategoryError(f"{spec} is neither a file nor one of the lists {', '.join(BUILTIN)}.") from error
    except (OSError, ValueError) as error:
        raise CategoryError(f"{path} cannot be read as UTF-8 text ({error}); give a list of category names.") from error
    first = text.lstrip()[:200].lower()
    if path.suffix.lower() == ".json" or first.startswith(("{", "[")):
        return _from_json(text, path)
    header = {name.strip() for name in first.split("\n", 1)[0].split(",")}
    if path.suffix.lower() == ".csv" or {"id", "name"} <= header:
        return _from_csv(text, path)
    return _from_names(text, path)


def _from_names(text: str, path: Path) -> Categories:
    names = [line.strip() for line in text.rstrip().splitlines()]
    top = 0
    while top < len(names) and names[top].lower() in _NOT_CATEGORIES:
        top += 1
    for line, name in enumerate(names, start=1):
        if not name:
            raise CategoryError(f"{path}, line {line} is empty; each line is the name of one category.")
    return _collect([(f"line {top + i}", Category(i, name)) for i, name in enumerate(names[top:], start=1)], path)


def _from_csv(text: str, path: Path | str) -> Categories:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    rows.fieldnames = [name.strip().lower() for name in _header(rows, path)]
    if not {"id", "name"} <= set(rows.fieldnames):
        raise CategoryError(f"{path}, line 1 does not name the columns; it must be a header such as id,name,isthing.")
    found = []
    for row in _read(rows, path):
        where = f"line {rows.line_num}"
        values = {key: (value or "").strip() for key, value in row.items() if key is not None}
        if not _is_id(values["id"]):
            raise CategoryError(f"{path}, {where} has the id {values['id'][:40]!r}; {_IDS}.")
        isthing = _TRUTH.get(values.get("isthing", "").lower())
        if isthing is None or None in row:
            raise CategoryError(f"{path}, {where} is not as the header says; isthing is 0, 1, true or false.")
        found.append((where, Category(int(values["id"]), values["name"], isthing, values.get("supercategory", ""))))
    return _collect(found, path)


def _header(rows: csv.DictReader[str], path: Path | str) -> Sequence[str]:
    with _csv_errors(path):
        return rows.fieldnames or []


def _read(rows: csv.DictReader[str], path: Path | str) -> Iterator[dict[str, Any]]:
    with _csv_errors(path):
        yield from rows


@contextmanager
def _csv_errors(path: Path | str) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise CategoryError(f"{path} is not CSV ({error}); it must have lines such as id,name,isthing.") from error


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID)) and int(text) <= MAX_ID


def _from_json(text: str, path: Path) -> Categories:
    try:
        content: Any = parse_json(text)
    except json.JSONDecodeError as error:
        raise CategoryError(
            f"{path}, line {error.lineno} is not JSON ({error.msg}); give COCO's categories."
        ) from error
    except ValueError as error:
        raise CategoryError(f"{path} is not JSON as it should be ({error}); give COCO's categories.") from error
    if isinstance(content, dict) and "id2label" in content:  # Hugging Face's config.json
        content = content["id2label"]
    if isinstance(content, dict) and content and all(_is_id(key) for key in content):
        content = [{"id": int(key), "name": name} for key, name in content.items()]
    entries = content.get("categories") if isinstance(content, dict) else content
    if not isinstance(entries, list):
        raise CategoryError(f"{path} has no list called categories; give a file as COCO's annotations.")
    found = []
    for number, entry in enumerate(entries):
        where = f"categories[{number}]"
        category_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(category_id, int) or isinstance(category_id, bool) or not 0 <= category_id <= MAX_ID:
            raise CategoryError(f"{path}, {where} has no id; {_IDS}.")
        name = entry.get("name")
        isthing, above = bool(entry.get("isthing", True)), str(entry.get("supercategory") or "")
        found.append((where, Category(category_id, name if isinstance(name, str) else "", isthing, above)))
    return _collect(found, path)


def _collect(found: Iterable[tuple[str, Category]], path: Path | str) -> Categories:
    places: dict[int, str] = {}
    categories = []
    for where, category in found:
        if not category.name:
            raise CategoryError(f"{path}, {where} has no name; name every category.")
        if not _encodes(category.name + category.supercategory):
            raise CategoryError(f"{path}, {where} has a name with half a character (a lone surrogate); write it anew.")
        if category.id in places:
            raise CategoryError(
                f"{path}, {where} has the id {category.id} again, after {places[category.id]}; give each id once."
            )
        places[category.id] = where
        categories.append(category)
    if not categories:
        raise CategoryError(f"{path} names no categories; give at least one.")
    return Categories(categories)


def _encodes(text: str) -> bool:
    """Return whether UTF-8 can hold a text; JSON's escapes may name halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
