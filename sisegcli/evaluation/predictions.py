"""Predictions, read back from what `sisegcli convert` and other programs write."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sisegcli.categories import Categories
from sisegcli.data.texts import MAX_JSON
from sisegcli.errors import InputError
from sisegcli.evaluation.coco_truth import file_stem
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.watching import Watch, unwatched
from sisegcli.formats.coco import CocoFile, read_coco
from sisegcli.formats.panoptic_reader import is_panoptic, read_panoptic
from sisegcli.formats.voc import read_voc_instances
from sisegcli.instances import Instance, instances_from_labels


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predicted instances of many images.

    Attributes
    ----------
    images : dict
        Instances by stem: the image's path below its folder, without suffix.
    categories : Categories
        Names, where the file tells them.
    notes : list of str
        What a reader of figures made from them must know.
    """

    images: dict[str, list[Instance]]
    categories: Categories = field(default_factory=Categories)
    notes: list[str] = field(default_factory=list)


def load_predictions(
    path: Path | str, truth: GroundTruth | None = None, max_bytes: int = MAX_JSON, watch: Watch = unwatched
) -> Predictions:
    """Read predictions.

    Parameters
    ----------
    path : path
        A COCO file of instances with scores, a list of COCO results, a COCO panoptic file with its PNGs, a folder with
        ``SegmentationObject/`` and ``SegmentationClass/`` of indexed PNGs (scores are in ``instances.csv`` beside
        them), or a folder with ``instances.json`` or ``panoptic.json``.
    truth : GroundTruth, optional
        What a list of COCO results takes its images' names from.
    max_bytes : int
        A larger COCO file is refused.
    watch : Watch
        Sees how it goes on.

    Raises
    ------
    InputError
        If it is none of these, or cannot be understood.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "SegmentationObject").is_dir() and (path / "SegmentationClass").is_dir():
            return _from_folder(path, watch)
        names = (name for name in ("instances.json", "panoptic.json") if (path / name).is_file())
        name = next(names, None)
        if name is None:
            raise InputError(
                f"{path} has neither SegmentationObject and SegmentationClass nor instances.json nor panoptic.json; "
                "give what sisegcli convert wrote, or a file of COCO results."
            )
        path = path / name
    if path.is_file() and is_panoptic(path):
        return _from_panoptic(path, max_bytes, watch)
    coco = read_coco(path, max_bytes)
    if coco.is_results:
        return _from_results(path, coco, truth)
    images: dict[str, list[Instance]] = {}
    for image in coco.images.values():
        instances = [annotation.instance for annotation in coco.annotations[image.id]]
        images.setdefault(file_stem(image.file_name), []).extend(instances)
    return Predictions(images, coco.categories)


def _from_panoptic(path: Path, max_bytes: int, watch: Watch) -> Predictions:
    found = read_panoptic(path, max_bytes)
    images: dict[str, list[Instance]] = {}
    for one in watch(found.listed, "Reading predictions"):
        image = one.read()
        segments = [*image.segments, *image.crowds]
        images.setdefault(file_stem(image.file_name), []).extend(segments if found.scored else score_by_area(segments))
    note = f"{path} has no scores, so a segment's score is the part of the image that it covers; PQ needs none."
    return Predictions(images, found.categories, notes=[] if found.scored else [note])


def _from_results(path: Path, coco: CocoFile, truth: GroundTruth | None) -> Predictions:
    stems = {image.id: stem for stem, image in truth.images.items() if image.id is not None} if truth else {}
    if not stems:
        raise InputError(f"{path} names images by number alone; give the COCO file of its data set as --gt.")
    images = {
        stems[number]: [annotation.instance for annotation in found]
        for number, found in coco.annotations.items()
        if number in stems
    }
    foreign = len(coco.annotations) - len(images)
    notes = [f"Ignored: predictions of image ids that are not in the ground truth ({foreign})."]
    return Predictions(images, notes=notes if foreign else [])


def _from_folder(folder: Path, watch: Watch) -> Predictions:
    objects, classes = folder / "SegmentationObject", folder / "SegmentationClass"
    table = folder / "instances.csv"
    listed = _read_table(table) if table.is_file() else None
    images = {}
    for path in watch(sorted(objects.rglob("*.png")), "Reading predictions"):
        relative = path.relative_to(objects)
        stem = relative.with_suffix("").as_posix()
        labels, categories, _ = read_voc_instances(path, classes / relative)
        if listed is None:
            images[stem] = score_by_area(instances_from_labels(labels, categories))
            continue
        rows = listed.get(stem, {})
        categories.update({number: category for number, (category, _) in rows.items() if number in categories})
        images[stem] = instances_from_labels(labels, categories, {number: score for number, (_, score) in rows.items()})
    note = f"{folder} has no instances.csv with scores, so an instance's score is the part of the image that it covers."
    return Predictions(images, notes=[] if listed is not None else [note])


def score_by_area(instances: Iterable[Instance]) -> list[Instance]:
    """Give each instance the part of the image that it covers as its score: larger instances are more often right.

    Examples
    --------
    >>> import numpy as np
    >>> half = Instance.from_mask(np.array([[1, 1, 0, 0]], bool), category=5)
    >>> [instance.score for instance in score_by_area([half])]
    [0.5]
    """
    return [replace(i, score=i.area / (i.size[0] * i.size[1])) for i in instances]


def _read_table(path: Path) -> dict[str, dict[int, tuple[int, float]]]:
    """Read category id and score of each instance of each stem."""
    found: dict[str, dict[int, tuple[int, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                entry = int(row["category_id"]), float(row["score"])
                found.setdefault(row["stem"], {})[int(row["instance"])] = entry
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read ({error}); it needs the columns stem, instance, category_id and score."
        ) from error
    return found
