"""Predictions from label images: TIFFs, NumPy archives, and the layouts of VOC, Cityscapes and ADE20K."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np

from sisegcli.categories import Categories
from sisegcli.data.images import MAX_PIXELS
from sisegcli.data.masks import decode_ade20k
from sisegcli.data.texts import parse_json, read_text
from sisegcli.errors import InputError
from sisegcli.evaluation.ade20k_truth import SIGN as ADE20K
from sisegcli.evaluation.ade20k_truth import read_colours
from sisegcli.evaluation.cityscapes_truth import SIGN as CITYSCAPES
from sisegcli.evaluation.cityscapes_truth import STEP, photograph
from sisegcli.evaluation.label_truth import read_ids
from sisegcli.evaluation.predicted import WHAT, Predictions, as_written, named, score_by_area, unscored
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.watching import Watch
from sisegcli.formats.voc import read_voc_instances
from sisegcli.instances import Instance, instances_from_labels

Table = dict[str, dict[int, tuple[int, float]]]
"""Category id and score of each instance of each stem."""


def from_voc(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``SegmentationObject/``, ``SegmentationClass/`` and, where it is there, ``instances.csv``."""
    objects, classes = folder / "SegmentationObject", folder / "SegmentationClass"
    table = folder / "instances.csv"
    listed, names = read_table(table) if table.is_file() else (None, Categories())
    images = {}
    for path in watch(sorted(objects.rglob("*.png")), WHAT):
        relative = path.relative_to(objects)
        stem = relative.with_suffix("").as_posix()
        labels, categories, _ = read_voc_instances(path, classes / relative)
        if listed is None:
            images[stem] = score_by_area(instances_from_labels(labels, categories))
            continue
        rows = listed.get(stem, {})
        categories.update({number: category for number, (category, _) in rows.items() if number in categories})
        images[stem] = instances_from_labels(labels, categories, {number: score for number, (_, score) in rows.items()})
    return Predictions(images, names, [] if listed is not None else [unscored(folder, "instances.csv with scores")])


def from_tiffs(table: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``labels.csv``, and ``labels/`` beside it."""
    listed, names = read_table(table)
    folder = table.with_suffix("")
    images = {}
    for path in watch(sorted(folder.rglob("*.tif")), WHAT):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        labels, _ = read_ids(path)
        rows = listed.get(stem, {})
        if labels.max(initial=0) > max(rows, default=0):
            raise InputError(
                f"{path} has the number {labels.max()}, which {table} does not list; convert its image again."
            )
        categories = {number: category for number, (category, _) in rows.items()}
        images[stem] = instances_from_labels(labels, categories, {number: score for number, (_, score) in rows.items()})
    return Predictions(images, names)


def from_npz(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``npz/``."""
    images: dict[str, list[Instance]] = {}
    names: dict[int, str] = {}
    for path in watch(sorted(folder.rglob("*.npz")), WHAT):
        with as_written(path):
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > 5 * MAX_PIXELS:
                    raise ValueError("it is too large")
            with np.load(path, allow_pickle=False) as arrays:
                labels = arrays["labels"]
                ids, scores = arrays["categories"].tolist(), arrays["scores"].tolist()
                names.update(zip(ids, map(str, arrays["names"].tolist()), strict=True))
            if labels.ndim != 2 or labels.dtype.kind not in "iu" or len(ids) != len(scores):
                raise ValueError("its arrays do not fit")
            categories, scored = dict(enumerate(ids, start=1)), dict(enumerate(scores, start=1))
            images[path.relative_to(folder).with_suffix("").as_posix()] = instances_from_labels(
                labels, categories, scored
            )
    return Predictions(images, named(names))


def from_cityscapes(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``*_instanceIds.png``: 1000 times the id plus a number of a thing, or the id of stuff; 0 is nobody."""
    images = {}
    for path in watch(sorted(folder.rglob(f"*{CITYSCAPES}")), WHAT):
        values, _ = read_ids(path)
        numbers = [value for value in np.unique(values).tolist() if value]
        categories = {value: value // STEP if value >= STEP else value for value in numbers}
        stem = photograph(path.relative_to(folder).as_posix())
        images[stem] = score_by_area(instances_from_labels(values, categories))
    return Predictions(images, notes=[unscored(folder)])


def from_ade20k(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``*_seg.png``, and names and scores of the JSON files beside them."""
    images = {}
    names: dict[int, str] = {}
    lacking = False
    for path in watch(sorted(folder.rglob(f"*{ADE20K}")), WHAT):
        colours = read_colours(path)
        ids, numbers = decode_ade20k(colours), colours[..., 2].astype(np.int64)
        listing = path.with_name(f"{path.name.removesuffix(ADE20K)}.json")
        stem = path.relative_to(folder).as_posix().removesuffix(ADE20K)
        # An instance is a number of a category; the real files spread numbers over 0 to 255 within each.
        codes = np.where(numbers > 0, ids.astype(np.int64) << 8 | numbers, 0)
        values = [code for code in np.unique(codes).tolist() if code]
        categories = {code: code >> 8 for code in values}
        scores = None
        if listing.is_file():
            with as_written(listing):
                objects = parse_json(read_text(listing))["annotation"]["object"]
                names.update({int(one["name_ndx"]): str(one["name"]) for one in objects})
                scores = {int(one["id"]): float(one["score"]) for one in objects if "score" in one}
        found = instances_from_labels(
            codes, categories, scores and {code: scores.get(code & 255, 1.0) for code in values}
        )
        lacking = lacking or (bool(values) and not scores)
        images[stem] = found if scores else score_by_area(found)
    known = named(names)
    return Predictions(images, known, [unscored(folder)] if lacking else [])


def read_table(path: Path) -> tuple[Table, Categories]:
    """Read a CSV of instances: category id and score of each, and the names of categories.

    Raises
    ------
    InputError
        If it cannot be read, or lacks a column.
    """
    found: Table = {}
    names: dict[int, str] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                entry = int(row["category_id"]), float(row["score"])
                found.setdefault(row["stem"], {})[int(row["instance"])] = entry
                if row.get("category"):
                    names[entry[0]] = row["category"]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read ({error}); it needs the columns stem, instance, category_id and score."
        ) from error
    return found, named(names)
