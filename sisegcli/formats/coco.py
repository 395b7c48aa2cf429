"""COCO's ``instances.json``: writer and reader.

The format is described at https://cocodataset.org/#format-data and #format-results; pycocotools reads what is written
here. ``score`` is our addition to the annotations of a data set, ``isthing`` (0 or 1) is the panoptic format's addition
to the categories.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from sisegcli import __version__
from sisegcli.categories import Categories, Category
from sisegcli.errors import InputError
from sisegcli.formats.files import output_errors, refuse_existing, temporary_name
from sisegcli.formats.polygons import instance_polygons
from sisegcli.formats.records import ImageResult
from sisegcli.instances import Instance


class CocoWriter:
    """Write ``instances.json`` into a folder, streaming: memory stays flat however many images come.

    Parameters
    ----------
    out : Path
        The folder; it is made where it is missing.
    categories : Categories
        Categories to list; ids that only occur in instances are added to them.
    polygons : bool
        Write polygons on exact pixel edges instead of run-length codes.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is off, or if it cannot be written.
    """

    def __init__(self, out: Path, categories: Categories, *, polygons: bool = False, overwrite: bool = False) -> None:
        self.path = Path(out) / "instances.json"
        refuse_existing(self.path, overwrite=overwrite)
        self._categories = categories
        self._polygons = polygons
        self._seen: set[int] = set(categories)
        self._images = self._annotations = 0
        self._temporary = temporary_name(self.path)
        with output_errors(self.path):
            # Images go straight into the file; annotations wait in a nameless one, which no crash can leave behind.
            self._file = self._temporary.open("w", encoding="utf-8")
            self._waiting = tempfile.TemporaryFile("w+", encoding="utf-8", dir=self.path.parent)  # noqa: SIM115
            self._file.write('{"info": ' + _line({"description": "Instances from sisegcli", "version": __version__}))
            self._file.write(',\n"licenses": [],\n"images": [')

    def add(self, result: ImageResult) -> None:
        """Append an image and its instances; both are numbered from 1 in order of arrival."""
        height, width = result.size
        with output_errors(self.path):
            self._file.write(",\n" if self._images else "\n")
            self._images += 1
            image = {"id": self._images, "file_name": result.file_name, "width": width, "height": height}
            self._file.write(_line(image))
            for instance in result.instances:
                self._waiting.write(",\n" if self._annotations else "\n")
                self._annotations += 1
                self._seen.add(instance.category)
                self._waiting.write(_line(self._annotation(instance)))

    def _annotation(self, instance: Instance) -> dict[str, Any]:
        top, left, height, width = instance.box
        segmentation: Any = {"size": list(instance.size), "counts": instance.counts.decode("ascii")}
        return {
            "id": self._annotations,
            "image_id": self._images,
            "category_id": instance.category,
            "segmentation": instance_polygons(instance) if self._polygons else segmentation,
            "area": instance.area,
            "bbox": [left, top, width, height],
            "iscrowd": 0,
            "score": round(instance.score, 6),
        }

    def close(self) -> None:
        """Join images, annotations and categories under the final name; a second call does nothing."""
        if self._file.closed:
            return
        categories = [self._categories.find(category_id) for category_id in sorted(self._seen)]
        with output_errors(self.path):
            self._file.write('\n],\n"annotations": [')
            self._waiting.seek(0)
            shutil.copyfileobj(self._waiting, self._file, 1 << 20)
            self._file.write('\n],\n"categories": [\n' + ",\n".join(_line(_category(c)) for c in categories) + "\n]}\n")
            self._waiting.close()
            self._file.close()
            self._temporary.replace(self.path)

    def abort(self) -> None:
        """Remove the temporary files."""
        self._waiting.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _category(category: Category) -> dict[str, Any]:
    return {
        "id": category.id,
        "name": category.name,
        "supercategory": category.supercategory,
        "isthing": int(category.isthing),
    }


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image of a COCO file: its id, its file name (empty in results files) and its size (height, width)."""

    id: int
    file_name: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What a COCO file holds.

    Attributes
    ----------
    images : dict
        Images by id; of a results file, those that have annotations.
    categories : Categories
        Empty for a results file.
    instances : dict
        Instances of each image id, in the file's order; `score` is 1 where the file has none.
    crowds : dict
        One flag for each of these instances: a group (``iscrowd``), which evaluation ignores.
    is_results : bool
        Whether it was a results file: a list of scored annotations that has no images and no categories.
    """

    images: dict[int, CocoImage] = field(default_factory=dict)
    categories: Categories = field(default_factory=Categories)
    instances: dict[int, list[Instance]] = field(default_factory=dict)
    crowds: dict[int, list[bool]] = field(default_factory=dict)
    is_results: bool = False


def read_coco(path: Path | str) -> CocoFile:
    """Read a COCO data set with instances (ground truth, or our own output), or a COCO results file.

    Polygons and uncompressed run-length codes become run-length masks; annotations with an empty segmentation are left
    out.

    Raises
    ------
    InputError
        If the file cannot be read, is not COCO's JSON, or holds an annotation that makes no sense.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the name.") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); give a COCO file of instances.") from error
    is_results = isinstance(content, list)
    if not is_results and not (isinstance(content, dict) and {"images", "annotations"} <= content.keys()):
        raise InputError(f"{path} is not a COCO file: it has neither images and annotations nor a list of results.")
    try:
        if is_results:
            return _collect(path, CocoFile(is_results=True), content)
        images = {
            image["id"]: CocoImage(image["id"], image.get("file_name", ""), (int(image["height"]), int(image["width"])))
            for image in content["images"]
        }
        categories = Categories(
            Category(int(c["id"]), str(c["name"]), bool(c.get("isthing", 1)), str(c.get("supercategory") or ""))
            for c in content.get("categories", [])
        )
        return _collect(path, CocoFile(images, categories), content["annotations"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path} is not a COCO file as it should be ({reason}); export it again.") from error


def _collect(path: Path, coco: CocoFile, annotations: list[dict[str, Any]]) -> CocoFile:
    """Sort annotations into `coco` by image."""
    for image_id in coco.images:
        coco.instances[image_id], coco.crowds[image_id] = [], []
    for number, annotation in enumerate(annotations, start=1):
        try:
            image_id = annotation["image_id"]
            image = coco.images.get(image_id)
            if image is None and not coco.is_results:
                raise ValueError(f"image {image_id} is not in the file")
            rle = _rle(annotation["segmentation"], image.size if image else None)
            if rle is None:
                continue
            size = (int(rle["size"][0]), int(rle["size"][1]))
            if image is None:
                coco.images[image_id] = image = CocoImage(image_id, "", size)
                coco.instances[image_id], coco.crowds[image_id] = [], []
            if size != image.size:
                raise ValueError(f"its mask has size {size}, its image {image.size}")
            score = float(annotation.get("score", 1.0))
            instance = Instance.from_rle(rle["counts"], size, int(annotation["category_id"]), score)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"{path}: annotation number {number} cannot be used: {reason}; export it again."
            ) from error
        coco.instances[image_id].append(instance)
        coco.crowds[image_id].append(bool(annotation.get("iscrowd", 0)))
    return coco


def _rle(segmentation: Any, size: tuple[int, int] | None) -> dict[str, Any] | None:
    """Return the compressed run-length code of any COCO segmentation, None where it is empty."""
    if isinstance(segmentation, list):
        # pycocotools takes four numbers for a box; a polygon has at least three corners.
        if not segmentation:
            return None
        if size is None:
            raise ValueError("polygons in a results file have no image size")
        if not all(isinstance(p, list) and len(p) >= 6 and len(p) % 2 == 0 for p in segmentation):
            raise ValueError("a polygon needs at least three corners, as x1, y1, x2, y2, …")
        merged: dict[str, Any] = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
        return merged
    height, width = (int(length) for length in segmentation["size"])
    counts = segmentation["counts"]
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise ValueError("its run-length code does not fill its image")
        uncompressed: dict[str, Any] = coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        return uncompressed
    code = counts.encode("ascii")
    if sum(_decoded(code)) != height * width:
        raise ValueError("its run-length code does not fill its image")
    return {"size": [height, width], "counts": code}


def _decoded(code: bytes) -> list[int]:
    """Return the runs of COCO's compressed code; pycocotools itself reads past the end of a damaged one.

    Runs are differences to the run before the last, in groups of five bits, least first, the sixth bit meaning "more".

    >>> _decoded(coco_mask.encode(np.asfortranarray(np.eye(3), np.uint8))["counts"])
    [0, 1, 3, 1, 3, 1]
    """
    runs: list[int] = []
    value = shift = 0
    for byte in code:
        group = byte - 48
        if not 0 <= group < 64:
            raise ValueError("its run-length code is damaged")
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            if group & 16:
                value -= 1 << shift
            if len(runs) > 2:
                value += runs[-2]
            if value < 0:
                raise ValueError("its run-length code is damaged")
            runs.append(value)
            value = shift = 0
    if shift:
        raise ValueError("its run-length code is damaged")
    return runs
