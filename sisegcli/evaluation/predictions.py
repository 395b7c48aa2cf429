"""Predictions, read back from what `sisegcli convert` and other programs write."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from sisegcli.errors import InputError, LayoutError
from sisegcli.evaluation.coco_truth import decode, read_json
from sisegcli.evaluation.labels import read_instances
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.instances import Instance

Predictions = dict[str, list[Instance]]


def load_predictions(path: Path | str, truth: GroundTruth | None = None) -> tuple[Predictions, list[str]]:
    """Read predictions by file stem, and notes on how they were understood.

    Parameters
    ----------
    path : path
        A COCO instances file with images, a COCO results list, or a folder with ``SegmentationObject/`` and
        ``SegmentationClass/`` of indexed PNGs.
    truth : GroundTruth, optional
        A results list names images by the ids of the ground truth.

    Raises
    ------
    InputError
        Where the file or folder is none of these.
    """
    path = Path(path)
    if path.is_dir():
        return _from_folder(path)
    data = read_json(path)
    if isinstance(data, list):
        return _from_results(path, data, truth)
    if isinstance(data, dict) and {"images", "annotations"} <= data.keys():
        return _from_coco(data)
    raise InputError(f"{path} is neither a COCO instances file nor a list of COCO results.")


def _from_coco(data: dict[str, Any]) -> tuple[Predictions, list[str]]:
    images = {record["id"]: record for record in data["images"]}
    found: Predictions = {Path(record["file_name"]).stem: [] for record in data["images"]}
    for annotation in data["annotations"]:
        record = images[annotation["image_id"]]
        size = (int(record["height"]), int(record["width"]))
        instance = decode(
            annotation["segmentation"], size, annotation["category_id"], annotation.get("score", 1.0)
        )
        found[Path(record["file_name"]).stem].append(instance)
    return found, []


def _from_results(path: Path, data: list[Any], truth: GroundTruth | None) -> tuple[Predictions, list[str]]:
    by_id = {image.id: stem for stem, image in truth.images.items() if image.id is not None} if truth else {}
    if truth is None or not by_id:
        raise InputError(f"{path} names images by id alone, so it needs the COCO file of the ground truth.")
    found: Predictions = {}
    foreign = set()
    for result in data:
        stem = by_id.get(result["image_id"])
        if stem is None:
            foreign.add(result["image_id"])
            continue
        size = truth.images[stem].size
        instance = decode(result["segmentation"], size, result["category_id"], result.get("score", 1.0))
        found.setdefault(stem, []).append(instance)
    notes = [f"Predictions for {len(foreign)} image ids are not in the ground truth."] if foreign else []
    return found, notes


def _from_folder(folder: Path) -> tuple[Predictions, list[str]]:
    objects, classes = folder / "SegmentationObject", folder / "SegmentationClass"
    if not objects.is_dir() or not classes.is_dir():
        raise LayoutError(f"{folder} holds no SegmentationObject/ and SegmentationClass/ of predictions.")
    table = folder / "instances.csv"
    scores = _read_scores(table) if table.is_file() else {}
    found = {
        path.stem: read_instances(path, classes / path.name, scores.get(path.stem))[0]
        for path in sorted(objects.glob("*.png"))
    }
    if scores:
        return found, []
    return by_area(found), [f"{folder} holds no scores, so instances are ranked by their area."]


def by_area(predictions: Predictions) -> Predictions:
    """Score each instance by its area, in parts of the largest one."""
    largest = max((i.area for instances in predictions.values() for i in instances), default=1)
    return {
        stem: [replace(i, score=i.area / largest) for i in instances] for stem, instances in predictions.items()
    }


def _read_scores(path: Path) -> dict[str, dict[int, float]]:
    scores: dict[str, dict[int, float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            scores.setdefault(Path(row["image"]).stem, {})[int(row["label"])] = float(row["score"])
    return scores
