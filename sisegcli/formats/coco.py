"""COCO's ``instances.json``: writer and reader.

The format is described at https://cocodataset.org/#format-data and #format-results; pycocotools reads what is written
here. ``score`` is our addition to the annotations of a data set, ``isthing`` (0 or 1) is the panoptic format's addition
to the categories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sisegcli.categories import Categories, Category
from sisegcli.data.texts import MAX_JSON, parse_json, read_text
from sisegcli.errors import InputError
from sisegcli.formats.coco_stream import CocoStreamWriter, coco_box, coco_entry, coco_rle
from sisegcli.formats.polygons import instance_polygons
from sisegcli.formats.records import ImageResult
from sisegcli.formats.run_lengths import image_size, run_lengths
from sisegcli.instances import Instance

_CATEGORY = '"category_id": '


class CocoWriter(CocoStreamWriter):
    """Write ``instances.json`` into a folder, streaming: memory stays flat however many images come."""

    name = "instances.json"

    def write(self, result: ImageResult) -> str:
        """Return the entry of an image and its instances."""
        return coco_entry(result, map(self._annotation, result.instances))

    def _annotation(self, instance: Instance) -> dict[str, Any]:
        return {
            "category_id": instance.category,
            "segmentation": instance_polygons(instance) if self.polygons else coco_rle(instance),
            "area": instance.area,
            "bbox": coco_box(instance),
            "iscrowd": 0,
            "score": round(instance.score, 6),
        }


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image of a COCO file: its id, its file name (empty in results files) and its size (height, width)."""

    id: int
    file_name: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """An annotated instance; its score is 1 where the file has none.

    Attributes
    ----------
    instance : Instance
        Its mask, category and score.
    area : float
        The area that the file states, which may differ from the mask's by rounding; the mask's where it states none.
    crowd : bool
        Whether it is a group of objects (``iscrowd``), which evaluation ignores.
    """

    instance: Instance
    area: float
    crowd: bool


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What a COCO file holds.

    Attributes
    ----------
    images : dict
        Images by id; of a results file, those that have annotations.
    categories : Categories
        Empty for a results file.
    annotations : dict
        Annotations of each image id, in the file's order.
    is_results : bool
        Whether it was a results file: a list of scored annotations that has no images and no categories.
    """

    images: dict[int, CocoImage] = field(default_factory=dict)
    categories: Categories = field(default_factory=Categories)
    annotations: dict[int, list[CocoAnnotation]] = field(default_factory=dict)
    is_results: bool = False


def read_coco(path: Path | str, max_bytes: int = MAX_JSON) -> CocoFile:
    """Read a COCO data set with instances (ground truth, or our own output), or a COCO results file.

    Polygons and uncompressed run-length codes become run-length masks; annotations with an empty segmentation are left
    out.

    Parameters
    ----------
    path : Path
        The JSON file.
    max_bytes : int
        A larger file is refused rather than read.

    Raises
    ------
    InputError
        If the file cannot be read, is too large, is not COCO's JSON, or holds an annotation that makes no sense.
    """
    path = Path(path)
    try:
        text = read_text(path, "utf-8", limit=max_bytes)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}); give a COCO file of instances.") from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read ({error}); see --max-bytes, or give another file.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    try:
        content = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); give a COCO file of instances.") from error
    is_results = isinstance(content, list)
    if not is_results and not (isinstance(content, dict) and {"images", "annotations"} <= content.keys()):
        raise InputError(f"{path} is not a COCO file: it has neither images and annotations nor a list of results.")
    try:
        coco = CocoFile(is_results=True) if is_results else _header(content)
    except _MALFORMED as error:
        raise InputError(f"{path} is not a COCO file as it should be ({_reason(error)}); export it again.") from error
    number = 0
    try:
        for number, annotation in enumerate(content if is_results else content["annotations"], 1):  # noqa: B007
            _append(coco, annotation)
    except _MALFORMED as error:
        raise InputError(
            f"{path} cannot be used: its annotation number {number} is wrong ({_reason(error)}); export it again."
        ) from error
    return coco


_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What foreign JSON raises where it is not as expected."""


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _header(content: dict[str, Any]) -> CocoFile:
    """Return images and categories of a data set."""
    images = {
        image["id"]: CocoImage(
            image["id"], str(image.get("file_name", "")), image_size(image["height"], image["width"])
        )
        for image in content["images"]
    }
    if len(images) < len(content["images"]):
        raise ValueError("two images have the same id")
    categories = Categories(
        Category(int(c["id"]), str(c["name"]), bool(c.get("isthing", 1)), str(c.get("supercategory") or ""))
        for c in content.get("categories", [])
    )
    return CocoFile(images, categories, {image_id: [] for image_id in images})


def _append(coco: CocoFile, annotation: dict[str, Any]) -> None:
    """Add one annotation to its image, which a results file names here for the first time."""
    image_id = annotation["image_id"]
    image = coco.images.get(image_id)
    if image is None and not coco.is_results:
        raise ValueError(f"image {image_id} is not in the file")
    rle = run_lengths(annotation["segmentation"], image.size if image else None)
    if rle is None:
        return
    size = image_size(*rle["size"])
    if image is None:
        image = coco.images[image_id] = CocoImage(image_id, "", size)
        coco.annotations[image_id] = []
    if size != image.size:
        raise ValueError(f"its mask has the size {size}, its image {image.size}")
    score = float(annotation.get("score", 1.0))
    category = int(annotation["category_id"])
    if not 0 <= category < 2**31:
        raise ValueError(f"the category id {str(category)[:20]} is not from 0 to {2**31 - 1}")
    instance = Instance.from_rle(rle["counts"], size, category, score)
    area = float(annotation.get("area", instance.area))
    if not (math.isfinite(score) and math.isfinite(area)):
        raise ValueError("its score or its area is not a finite number")
    coco.annotations[image_id].append(CocoAnnotation(instance, area, bool(annotation.get("iscrowd", 0))))
