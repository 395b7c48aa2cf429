"""Predictions from files that list instances: Datumaro, WebDataset, YOLO, LabelMe and GeoJSON."""

from __future__ import annotations

import json
import math
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from sisegcli.data.images import MAX_PIXELS
from sisegcli.data.texts import MAX_TEXT, parse_json, read_text
from sisegcli.errors import InputError
from sisegcli.evaluation.predicted import WHAT, Names, Predictions, as_written, named, score_by_area, unscored
from sisegcli.evaluation.truth import GroundTruth
from sisegcli.evaluation.watching import Watch
from sisegcli.formats.filling import fill_polygons
from sisegcli.formats.run_lengths import image_size, run_lengths
from sisegcli.instances import Instance


def from_datumaro(path: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``default.json``; labels are known by name."""
    names = Names(truth)
    images: dict[str, list[Instance]] = {}
    with as_written(path):
        content = parse_json(read_text(path, "utf-8", limit=2**30))
        labels = [names.id(str(label["name"])) for label in content["categories"]["label"]["labels"]]
        for item in watch(content["items"], WHAT):
            masks = (one for one in item["annotations"] if one["type"] == "mask")
            images[str(item["id"])] = [
                _instance(one["rle"], labels[int(one["label_id"])], one["attributes"].get("score", 1.0))
                for one in masks
            ]
    return Predictions(images, names.categories)


def from_webdataset(path: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read the JSON files of ``instances.tar``."""
    images: dict[str, list[Instance]] = {}
    names: dict[int, str] = {}
    with as_written(path), tarfile.open(path, "r:") as archive:
        for member in watch([one for one in archive if one.isfile() and one.name.endswith(".json")], WHAT):
            file = archive.extractfile(member)
            if file is None or member.size > MAX_TEXT:
                raise ValueError("a member is too large")
            content = parse_json(file.read().decode("utf-8"))
            found = content["instances"]
            images[member.name.removesuffix(".json")] = [
                _instance(one["segmentation"], int(one["category_id"]), one["score"]) for one in found
            ]
            names.update({int(one["category_id"]): str(one["category"]) for one in found})
    return Predictions(images, named(names))


def from_yolo(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``labels/*.txt`` and ``data.yaml``; sizes of images are the ground truth's, scores are not there."""
    names = Names(truth)
    listing = folder / "data.yaml"
    classes: list[int] = []
    with as_written(listing):
        lines = read_text(listing, "utf-8").splitlines()
        for line in lines[lines.index("names:") + 1 :]:
            number, _, name = line.strip().partition(": ")
            if int(number) != len(classes):
                raise ValueError("classes are not in order")
            classes.append(names.id(str(json.loads(name))))
    images = {}
    for path in watch(sorted((folder / "labels").rglob("*.txt")), WHAT):
        stem = path.relative_to(folder / "labels").with_suffix("").as_posix()
        size = _size_of(stem, truth, path)
        if size is None:
            continue
        found = []
        with as_written(path):
            for line in read_text(path, "utf-8").splitlines():
                number, *values = line.split()
                corners = np.array(values, np.float64).reshape(-1, 2) * (size[1], size[0])
                found.append(Instance.from_mask(fill_polygons([corners], size), classes[int(number)]))
        images[stem] = score_by_area(found)
    return Predictions(images, names.categories, [unscored(folder)])


def from_labelme(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``labelme/*.json``; shapes of one group are one instance."""
    names = Names(truth)
    images: dict[str, list[Instance]] = {}
    for path in watch(sorted(folder.rglob("*.json")), WHAT):
        with as_written(path):
            content = parse_json(read_text(path, "utf-8"))
            size = image_size(content["imageHeight"], content["imageWidth"])
            groups: dict[object, list[dict[str, Any]]] = {}
            for number, shape in enumerate(content["shapes"]):
                group = shape.get("group_id")
                groups.setdefault(("alone", number) if group is None else group, []).append(shape)
            images[path.relative_to(folder).with_suffix("").as_posix()] = [
                _filled([s["points"] for s in shapes], size, names.id(str(shapes[0]["label"])), shapes[0].get("score"))
                for shapes in groups.values()
            ]
    return Predictions(images, names.categories)


def from_geojson(folder: Path, truth: GroundTruth | None, watch: Watch) -> Predictions:
    """Read ``geojson/*.geojson``; sizes of images are the ground truth's."""
    images: dict[str, list[Instance]] = {}
    names: dict[int, str] = {}
    for path in watch(sorted(folder.rglob("*.geojson")), WHAT):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        size = _size_of(stem, truth, path)
        if size is None:
            continue
        images[stem] = []
        with as_written(path):
            for feature in parse_json(read_text(path, "utf-8"))["features"]:
                shape, about = feature["geometry"], feature["properties"]
                polygons = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
                rings = [ring for polygon in polygons for ring in polygon]
                category = int(about["category_id"])
                names[category] = str(about["classification"]["name"])
                images[stem].append(_filled(rings, size, category, about.get("score")))
    return Predictions(images, named(names))


def _size_of(stem: str, truth: GroundTruth | None, path: Path) -> tuple[int, int] | None:
    """Return the size of an image; None where the ground truth does not have it, so that nothing is compared."""
    if truth is None:
        raise InputError(f"{path} does not tell how large its image is; give another format, such as instances.json.")
    image = truth.images.get(stem)
    return image.size if image is not None else None


def _instance(rle: Any, category: int, score: Any) -> Instance:
    code = run_lengths(rle, None)
    if code is None or not 0 <= category < 2**31:
        raise ValueError("an instance has no pixels, or no category")
    return Instance.from_rle(code["counts"], image_size(*code["size"]), category, _score(score))


def _filled(polygons: list[Any], size: tuple[int, int], category: int, score: Any) -> Instance:
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError("the image is too large")
    return Instance.from_mask(fill_polygons(polygons, size), category, 1.0 if score is None else _score(score))


def _score(value: Any) -> float:
    if not math.isfinite(float(value)):
        raise ValueError("a score is no finite number")
    return float(value)
