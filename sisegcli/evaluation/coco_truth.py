"""Ground truth of a COCO instances file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from sisegcli.categories import Categories, Category
from sisegcli.errors import InputError
from sisegcli.evaluation.truth import GroundTruth, TruthImage
from sisegcli.instances import Instance


def load_coco_truth(path: Path | str, split: str | None = None) -> GroundTruth:
    """Read the instances of a COCO file; images keep their ids, annotations with ``iscrowd`` become crowds.

    Parameters
    ----------
    path : path
        The JSON file.
    split : str, optional
        A text file of stems or file names, one a line, that picks images.

    Raises
    ------
    InputError
        Where the file is no COCO file.
    """
    path = Path(path)
    data = read_json(path)
    if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= data.keys():
        raise InputError(f"{path} is not a COCO instances file: it needs images, annotations and categories.")
    images: dict[str, TruthImage] = {}
    by_id: dict[int, TruthImage] = {}
    for record in data["images"]:
        stem = Path(record["file_name"]).stem
        if stem in images:
            raise InputError(f"{path} names two images {stem}, so predictions cannot be told apart by file name.")
        truth = TruthImage((int(record["height"]), int(record["width"])), [], areas=[], id=record["id"])
        images[stem] = by_id[record["id"]] = truth
    for annotation in data["annotations"]:
        image = by_id.get(annotation["image_id"])
        if image is None:
            raise InputError(f"{path} annotates image {annotation['image_id']}, which is not among its images.")
        instance = decode(annotation["segmentation"], image.size, annotation["category_id"])
        if annotation.get("iscrowd", 0):
            image.crowds.append(instance)
        else:
            image.instances.append(instance)
            assert image.areas is not None
            image.areas.append(float(annotation.get("area", instance.area)))
    categories = Categories(Category(c["id"], c["name"]) for c in data["categories"])
    truth_of_file = GroundTruth(images, categories)
    if split is None:
        return truth_of_file
    wanted = [Path(line.strip()).stem for line in Path(split).read_text().splitlines() if line.strip()]
    return truth_of_file.subset([stem for stem in wanted if stem in images])


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}).") from error


def decode(segmentation: Any, size: tuple[int, int], category: int, score: float = 1.0) -> Instance:
    """Make an instance from any of COCO's three codes: polygons, plain and compressed run lengths."""
    if isinstance(segmentation, list):
        rle = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        rle = coco_mask.frPyObjects(segmentation, *size)
    else:
        rle = segmentation
    counts = rle["counts"]
    return Instance.from_rle(counts.encode() if isinstance(counts, str) else counts, size, category, score)
